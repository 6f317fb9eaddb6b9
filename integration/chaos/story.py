"""A random story: what a seed draws, and the smaller stories that can be made of one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11

CLIENTS = ("short", "slow", "sync", "stream", "websocket", "half", "silent", "leaving")
RELOADED_BY_SIGHUP = ("gunicorn", "granian", "hypercorn", "uvicorn-workers")
"""Targets begin like that whose main process takes SIGHUP for a restart of its workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSpec:
    """One resource: seconds that it opens and closes, and the phase in which it fails, if any."""

    name: str
    sync: bool
    opening: float
    closing: float
    requires: tuple[str, ...]
    fails: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSpec:
    """One client: its kind, and the seconds after the port is open at which it comes."""

    kind: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSpec:
    """One OS signal: its name, the process that gets it, and its moment.

    Attributes:
        whom: ``main``, ``group`` or ``worker``.
        pick: chooses the worker.
        after: ``launch``, ``opening`` or ``serving``; of a later signal ``signal``, the one before.
        delay: seconds.
    """

    name: str
    whom: str
    pick: int
    after: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The whole of it."""

    target: str
    resources: tuple[ResourceSpec, ...]
    receiver: float
    receiver_sync: bool
    clients: tuple[ClientSpec, ...]
    signals: tuple[SignalSpec, ...]

    @classmethod
    def draw(cls, target: str, seed: int) -> Self:
        """Return the story of this seed for a target."""
        chance = random.Random(f"{target} {seed}")
        count = chance.randint(1, 5)
        failing = chance.choice(["opening", "closing"]) if chance.random() < 0.15 else ""
        unlucky = chance.randrange(count)
        return cls(
            target=target,
            resources=tuple(
                _draw_resource(chance, index, failing if index == unlucky else "")
                for index in range(count)
            ),
            receiver=round(chance.uniform(0, 0.2), 3),
            receiver_sync=chance.random() < 0.5,
            clients=tuple(
                ClientSpec(kind=chance.choice(CLIENTS), delay=round(chance.uniform(0, 1), 3))
                for _ in range(chance.randint(0, 6))
            ),
            signals=tuple(_draw_signals(chance, target)),
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the story that was written as JSON."""
        read = json.loads(text)
        for each in read["resources"]:
            each["requires"] = tuple(each["requires"])
        kinds = {"resources": ResourceSpec, "clients": ClientSpec, "signals": SignalSpec}
        for name, kind in kinds.items():
            read[name] = tuple(kind(**each) for each in read[name])
        return cls(**read)

    def write(self) -> str:
        """Return the story as JSON."""
        return json.dumps(asdict(self))

    def smaller(self) -> Iterator[Story]:
        """Yield the stories that lack one thing of this one, or have one that is simpler."""
        for name in ("signals", "clients", "resources"):
            things = getattr(self, name)
            for index in range(len(things)):
                rest = (*things[:index], *things[index + 1 :])
                if rest or name == "clients":
                    lacking: dict[str, Any] = {name: rest}
                    yield replace(self, **lacking)._without_lost_requirements()
        if self.receiver:
            yield replace(self, receiver=0)
        for index, each in enumerate(self.resources):
            if each.fails:
                healthy = replace(each, fails="")
                others = (*self.resources[:index], healthy, *self.resources[index + 1 :])
                yield replace(self, resources=others)

    def _without_lost_requirements(self) -> Story:
        names = {"base", *(each.name for each in self.resources)}
        kept = tuple(
            replace(each, requires=tuple(name for name in each.requires if name in names))
            for each in self.resources
        )
        first, *rest = self.signals
        if first.after == "signal":
            first = replace(first, after="serving")
        return replace(self, resources=kept, signals=(first, *rest))

    def tell(self) -> str:
        """Return the story in words, a line for each thing."""
        lines = [f"target {self.target}"]
        for group in (self.resources, self.clients, self.signals):
            for each in group:
                values = [f"{field.name}={getattr(each, field.name)}" for field in fields(each)]
                lines.append(f"{type(each).__name__.removesuffix('Spec')}: {', '.join(values)}")
        kind = "sync" if self.receiver_sync else "async"
        return "\n".join([*lines, f"Receiver: {kind}, {self.receiver} s"])


def _draw_resource(chance: random.Random, index: int, fails: str) -> ResourceSpec:
    before = ["base", *(f"r{number}" for number in range(index))]
    return ResourceSpec(
        name=f"r{index}",
        sync=chance.random() < 0.4,
        opening=round(chance.uniform(0, 0.3), 3),
        closing=round(chance.uniform(0, 0.15), 3),
        requires=tuple(sorted(chance.sample(before, chance.randint(0, min(2, len(before)))))),
        fails=fails,
    )


def _draw_signals(chance: random.Random, target: str) -> Iterator[SignalSpec]:
    for number in range(chance.randint(1, 6)):
        name = chance.choice(["SIGTERM", "SIGTERM", "SIGINT"])
        whom = chance.choice(["main", "main", "group", "worker"])
        if target.startswith(RELOADED_BY_SIGHUP) and chance.random() < 0.25:
            name, whom = "SIGHUP", "main"
        after = "signal" if number else chance.choice(["launch", "opening", "serving", "serving"])
        longest = chance.choice([0.03, 0.3, 1.5])
        yield SignalSpec(
            name=name,
            whom=whom,
            pick=chance.randrange(10),
            after=after,
            delay=round(chance.uniform(0, longest), 3),
        )
