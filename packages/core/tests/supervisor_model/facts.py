"""The facts that the rules ask for: the stories, and when and why the lifespan ended."""

from __future__ import annotations

import asyncio
import math
import re
import sys
from collections.abc import Sequence

from django_asgi_lifespan.supervisor import GRACE
from supervisor_model.story import EPSILON, Story
from supervisor_model.world import World


class Facts:
    """The journal of a world, by resource and as a whole."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = world.journal[: world.after_linger]
        self.scenario = world.scenario
        self.stories = {fake.name: Story(world, fake) for fake in world.all}
        for fake in world.fakes:
            self._link(fake.name, [f"r{i}" for i in fake.plan.requires])
        if world.last:
            self._link("last", [fake.name for fake in world.fakes])
        self.cause = self._first_cause()
        self.certain_cause = self._first_cause(-EPSILON)

    def _link(self, name: str, requires: Sequence[str]) -> None:
        for required in requires:
            self.stories[name].requires.append(self.stories[required])
            self.stories[required].dependants.append(self.stories[name])

    def time(self, name: str, what: str) -> float:
        return next(
            (e.time for e in self.world.journal if (e.name, e.what) == (name, what)), math.inf
        )

    def index(self, name: str, what: str) -> float:
        return next(
            (i for i, e in enumerate(self.world.journal) if (e.name, e.what) == (name, what)),
            math.inf,
        )

    def at(self, index: float) -> float:
        return -math.inf if index < 0 else self.world.journal[int(index)].time

    def shutdown(self) -> float:
        return self.time("server", "shutdown")

    def _first_cause(self, tolerance: float = EPSILON) -> float:
        """Return when the lifespan began to end, at the earliest.

        A death at the very end of the startup may be a reason or not: *tolerance* decides.
        """
        complete = self.time("server", "gets lifespan.startup.complete")
        causes = [*self.world.cancellations, self.time("server", "shutdown"), self.world.ended]
        for story in self.stories.values():
            causes.append(story.time("failed"))
            causes += [due for due in story.late() if due < complete]
            if story.died and story.time("closes") < complete + tolerance:
                causes.append(story.time("closes"))
        if self.scenario.startup_timeout is not None and complete == math.inf:
            causes.append(self.scenario.startup_timeout)
        if self.scenario.failing_send == 0:
            causes.append(complete)
        return min(causes)

    def last_cause(self) -> float:
        """Return when the lifespan certainly was ending."""
        causes = [*self.world.cancellations, self.shutdown()]
        if self.time("server", "gets lifespan.startup.complete") == math.inf:
            causes += [story.time("failed") for story in self.stories.values()]
            causes += [due for story in self.stories.values() for due in story.late()]
            causes += [self.scenario.startup_timeout or math.inf]
        elif self.scenario.failing_send == 0:
            causes.append(self.time("server", "gets lifespan.startup.complete"))
        return min(causes)

    def hurry(self, *, certainly: bool = False) -> float:
        """Return when the busy resource was cancelled, apart from limits of its own."""
        limits = [
            entry.time
            for entry in self.journal
            if entry.what == "error" and "_TIMEOUT), waiting for" in entry.detail
        ]
        second = self.later_cancellations() if certainly else self.world.cancellations[1:]
        return min([*limits, *(time + GRACE / 2 for time in second), math.inf])

    def later_cancellations(self) -> list[float]:
        """Return those that are certainly not the first one that the lifespan gets to know.

        Two at one moment may be one for the task, and one may be lost.
        """
        times = self.world.cancellations
        if times and self.cancellation_may_be_lost():
            times = [time for time in times if time > times[0] + EPSILON]
        return [time for time in times if time > times[0] + EPSILON]

    def known_cancellations(self) -> list[float]:
        """Return those that the lifespan got to know: all but those of a moment that were lost."""
        times = self.world.cancellations
        is_first_known = isinstance(self.world.outcome, asyncio.CancelledError)
        if times and self.cancellation_may_be_lost() and not is_first_known:
            return [time for time in times if time > times[0] + EPSILON]
        return times

    def cancellation_may_be_lost(self) -> bool:
        """Before Python 3.12, wait_for may lose one that comes together with the result."""
        return (
            sys.version_info < (3, 12)
            and self.scenario.waits_with_timeout
            and abs(self.world.cancellations[0] - self.time("server", "shutdown")) < EPSILON
        )


def names(text: str) -> set[str]:
    """Return the names of resources in *text*."""
    return set(re.findall(r"\b(?:r\d|last)\b", text))
