"""The other releases of servers and of Django that the matrix is run with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tomli


@dataclass(frozen=True, slots=True)
class Release:
    """A set of other releases than the pinned ones, as ``versions.toml`` has them."""

    title: str
    python: str
    versions: dict[str, str]
    targets: list[str]


def read_releases(path: Path = Path(__file__).parents[1] / "versions.toml") -> dict[str, Release]:
    """Return every such set by the name of its folder of results."""
    return {name: Release(**each) for name, each in tomli.loads(path.read_text()).items()}
