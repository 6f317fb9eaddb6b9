"""The entries of the journal about one resource."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from supervisor_model.fakes import Fake
from supervisor_model.world import World

EPSILON = 1e-6


class Story:
    """The entries of the journal about one resource."""

    def __init__(self, world: World, fake: Fake) -> None:
        self.name = fake.name
        self.plan = fake.plan
        self.entries = [
            (i, entry)
            for i, entry in enumerate(world.journal[: world.after_linger])
            if entry.name == fake.name
        ]
        self.dependants: list[Story] = []
        self.requires: list[Story] = []
        self.closing_limit = fake.plan.shutdown_timeout
        if self.died and self.closing_limit is None:
            self.closing_limit = world.scenario.shutdown_timeout

    def count(self, *what: str) -> int:
        return sum(entry.what in what for _, entry in self.entries)

    def index(self, *what: str) -> float:
        return next((i for i, entry in self.entries if entry.what in what), math.inf)

    def time(self, *what: str) -> float:
        return next((entry.time for _, entry in self.entries if entry.what in what), math.inf)

    def detail(self, *what: str) -> Any:
        return next((entry.detail for _, entry in self.entries if entry.what in what), None)

    @property
    def died(self) -> bool:
        return self.detail("closes") is not None

    @property
    def abandoned(self) -> bool:
        return self.count("abandoned") > 0

    @property
    def last(self) -> float:
        """When it ended or was abandoned, if that came first."""
        return self.time("failed", "closed", "close failed", "abandoned")

    @property
    def end(self) -> float:
        """The index at which nobody has to wait for it any more."""
        return self.index("failed", "closed", "close failed", "abandoned")

    def steps(self) -> Iterator[tuple[str, float, float, float]]:
        """Yield the name of each step, when it began, when it ended and when it has to."""
        for step, begin, end, limit in (
            ("start", "opens", ("open", "failed"), self.plan.startup_timeout),
            ("stop", "closes", ("closed", "close failed"), self.closing_limit),
        ):
            if self.count(begin):
                due = math.inf if limit is None else self.time(begin) + limit
                yield step, self.time(begin), min(self.time(*end), self.time("abandoned")), due

    def late(self) -> list[float]:
        """Return the times at which one of its own limits passed while it was busy."""
        return [due for _, _, end, due in self.steps() if due < end + EPSILON]

    def busy_at(self, time: float) -> bool:
        """Tell whether it was opening or closing then."""
        return any(begin < time < end + EPSILON for _, begin, end, _ in self.steps())
