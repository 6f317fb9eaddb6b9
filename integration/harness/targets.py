"""The targets: every way to launch a server, with every setup of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli

HERE = Path(__file__).parent
OURS = "django-asgi-lifespan"
NOT_INHERITED = {"summary", "smoke"}
OPTIONAL = ("max_requests", "lifetime", "timeout")
"""Capabilities that take options on the command line."""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One way to launch a server with one setup. ``targets.toml`` explains the fields.

    Attributes:
        surroundings: the title of its surroundings, if ``surroundings.toml`` gives it some.
        inner: the target without them.
        shown: the command as a person would type it, without the place where it listens.
    """

    id: str
    title: str
    setup: str
    command: tuple[str, ...]
    shown: str = ""
    surroundings: str = ""
    inner: str = ""
    application: str = "asgi:application"
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


def read_targets(
    path: Path = HERE.parent / "targets.toml",
    surroundings: Path | None = HERE.parent / "surroundings.toml",
) -> dict[str, Target]:
    """Return every target by its id, in the order of the files."""
    entries: dict[str, Entry] = tomli.loads(path.read_text())
    ways = {name: _inherit(entries, name) for name in entries}
    targets = [
        _target(name, setup, _merge(way, way.get("differs", {}).get(setup, {})))
        for name, way in ways.items()
        for setup in way["setups"]
    ]
    found = {target.id: target for target in targets}
    around: dict[str, Entry] = {} if surroundings is None else tomli.loads(surroundings.read_text())
    surrounded = [
        _surround(found[each], name, entry)
        for name, entry in around.items()
        for each in entry["targets"]
    ]
    return found | {target.id: target for target in surrounded}


def _surround(target: Target, name: str, entry: Entry) -> Target:
    """Return the target in the surroundings of this name."""
    template = entry.get("command", "{command}")
    application = entry.get("application", target.application)

    def around(words: Sequence[str]) -> list[str]:
        texts = {"command": " ".join(words), "arguments": " ".join(words[1:])}
        return [*_fill(template, texts)]

    way, _, setup = target.id.partition(".")
    shown = target.shown.replace("asgi:application", application)
    return replace(
        target,
        id=f"{way}-{name}.{setup}",
        surroundings=entry["title"],
        inner=target.id,
        application=application,
        command=tuple(around(target.command)),
        shown=" ".join(around(shown.split())).replace(f"{HERE}/", ""),
        requirements=tuple(sorted({*target.requirements, *entry.get("packages", ())})),
        suite="surroundings",
        smoke=target.id in entry.get("smoke", ()),
        summary=False,
        environment={**target.environment, **entry.get("environment", {})},
    )


def _inherit(entries: Mapping[str, Entry], name: str) -> Entry:
    """Return an entry with everything that its base hands down to it."""
    entry = entries[name]
    if "base" not in entry:
        return entry
    base = _inherit(entries, entry["base"])
    return _merge({key: base[key] for key in base if key not in NOT_INHERITED}, entry)


def _merge(base: Entry, differences: Entry) -> Entry:
    """Return both in one, tables key by key."""
    tables = {key for key, value in differences.items() if isinstance(value, dict) and key in base}
    return base | differences | {key: _merge(base[key], differences[key]) for key in tables}


def _target(name: str, setup: str, way: Entry) -> Target:
    words: dict[str, str] = way["words"]
    command = _fill(way["command"], words)
    shown = {"application": "asgi:application", "graceful": "3"}
    options: dict[str, tuple[str, ...]] = {
        key: tuple(way[key].split()) for key in OPTIONAL if way.get(key, False) is not False
    }
    return Target(
        id=f"{name}.{setup}",
        title=way["title"],
        setup=setup,
        command=command,
        shown=" ".join(_fill(way["command"], words | {"listen": ""} | shown)),
        requirements=_requirements(setup, way),
        suite="brief" if setup == "stock" else way.get("suite", "all"),
        server=way.get("server", ""),
        control=way.get("control", ""),
        processes=way.get("processes", 1),
        smoke=setup in way.get("smoke", ()),
        summary=way.get("summary", False),
        options=options,
        environment=way.get("environment", {}),
        capabilities=frozenset({*options, *_capabilities(way, command)}),
    )


def _fill(command: str, words: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words of a command, with its own words filled in."""
    for name, text in words.items():
        command = command.replace(f"{{{name}}}", text)
    return tuple(command.replace("{harness}", str(HERE)).split())


def _requirements(setup: str, way: Entry) -> tuple[str, ...]:
    """Return the packages to install, ours among them."""
    packages = {*way["packages"], "Django"}
    if setup in {"installed", "command"}:
        packages.add(f"{OURS}[{way['server']}]")
    elif setup == "handler":
        packages.add(OURS)
    return tuple(sorted(packages))


def _capabilities(way: Entry, command: tuple[str, ...]) -> Iterable[str]:
    """Yield the abilities that scenarios may need, other than those with options."""
    yield from (key for key in ("reload", "scales", "trio") if way.get(key))
    yield "supervisor" if way.get("supervisor") else "unsupervised"
    if not way.get("wsgi"):
        yield "websocket"
    if any("{port}" in word for word in command):
        yield "port"
