"""The targets: every way to launch a server, with every setup of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli

HERE = Path(__file__).parent
OURS = "django-asgi-lifespan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One way to launch a server with one setup. ``targets.toml`` explains the fields."""

    id: str
    title: str
    setup: str
    command: tuple[str, ...]
    requirements: tuple[str, ...]
    suite: str
    server: str = ""
    control: str = ""
    processes: int = 1
    smoke: bool = False
    summary: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    capabilities: frozenset[str] = frozenset()

    @property
    def unix(self) -> bool:
        """Whether it listens on a unix socket."""
        return any("{socket}" in word for word in self.command)


def read_targets(path: Path = HERE.parent / "targets.toml") -> dict[str, Target]:
    """Return every target by its id, in the order of the file."""
    ways: dict[str, dict[str, Any]] = tomli.loads(path.read_text())
    targets = [
        _target(name, setup, {**way, **differences})
        for name, way in ways.items()
        for setup, differences in way["setups"].items()
    ]
    return {target.id: target for target in targets}


def _target(name: str, setup: str, way: dict[str, Any]) -> Target:
    extra = f"{OURS}[{way['server']}]" if setup in {"installed", "command"} else OURS
    packages = [*way["packages"], *([] if setup == "stock" else [extra])]
    options: dict[str, tuple[str, ...]] = {
        key: tuple(way[key]) for key in ("max_requests", "lifetime", "timeout") if key in way
    }
    capabilities: set[str] = {
        key for key in ("supervisor", "reload", "scales", "trio") if way.get(key)
    }
    capabilities |= options.keys()
    if "supervisor" not in capabilities:
        capabilities.add("unsupervised")
    if not way.get("wsgi"):
        capabilities.add("websocket")
    replaced: dict[str, str] = way.get("replace", {})
    words: list[str] = way["command"]
    command = tuple(
        each.replace("{harness}", str(HERE))
        for word in words
        for each in replaced.get(word, word).split()
    )
    if any("{port}" in word for word in command):
        capabilities.add("port")
    return Target(
        id=f"{name}.{setup}",
        title=way["title"],
        setup=setup,
        command=command,
        requirements=tuple(sorted({*packages, "Django"})),
        suite="brief" if setup == "stock" else way.get("suite", "all"),
        server=way.get("server", ""),
        control=way.get("control", ""),
        processes=way.get("processes", 1),
        smoke=way.get("smoke", False),
        summary=way.get("summary", False),
        options=options,
        environment=way.get("environment", {}),
        capabilities=frozenset(capabilities),
    )
