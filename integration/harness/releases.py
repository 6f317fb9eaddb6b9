"""The other Pythons, and releases of servers and of Django, that the matrix is run with."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli


@dataclass(frozen=True, slots=True)
class Release:
    """A Python, and other releases than the pinned ones, as ``versions.toml`` has them."""

    title: str
    python: str
    versions: dict[str, str]
    targets: list[str]

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"**{self.title}**" + (f" ({listed}; Python {self.python})" if listed else "")


def read_releases(path: Path = Path(__file__).parents[1] / "versions.toml") -> dict[str, Release]:
    """Return every such set by the name of its folder of results."""
    return {name: Release(**each) for name, each in tomli.loads(path.read_text()).items()}


def find_releases(patterns: Sequence[str]) -> dict[str, Release]:
    """Return the sets of these names, or patterns such as ``"django*"``."""
    releases = read_releases()
    found = {each for pattern in patterns for each in fnmatch.filter(releases, pattern)}
    if not found:
        sys.exit(f"No set is named so. There are: {', '.join(releases)}")
    return {name: release for name, release in releases.items() if name in found}
