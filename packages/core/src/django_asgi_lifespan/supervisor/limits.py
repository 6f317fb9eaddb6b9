"""Time limits: whatever takes too long is cancelled, gets one grace, and is abandoned."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Protocol

__all__ = ("GRACE", "Limits")

GRACE = 1.0
"""Seconds that a cancelled resource still gets at a time limit before it is abandoned.

A second cancellation of the lifespan leaves as much for the rest, which is cancelled at its half.
"""


class Limited(Protocol):
    """A resource task, as its limits need to know it."""

    def cancel(self) -> None:
        """Cancel the code that opens or closes the resource."""
        ...

    def abandon(self, why: str) -> None:
        """Wait for it no more."""
        ...


class Limits:
    """The timers of one lifespan: one for each resource that has a limit, and the overall ones.

    Attributes:
        own: the timers of resources.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.own: dict[Limited, asyncio.TimerHandle] = {}
        self._in_grace: set[Limited] = set()
        self._overall: list[asyncio.TimerHandle] = []

    def begin(self, task: Limited, seconds: float | None, at_limit: Callable[[], object]) -> None:
        """Begin to count for a new step of *task*; without *seconds* there is no limit."""
        self.end(task)
        if seconds is not None:
            self.own[task] = self._loop.call_later(seconds, at_limit)

    def end(self, task: Limited) -> None:
        """Take the limit of *task* back, and its grace."""
        timer = self.own.pop(task, None)
        if timer is not None:
            timer.cancel()
            self._in_grace.discard(task)

    def give_grace(self, task: Limited) -> None:
        """Cancel *task*, and abandon it after a grace, which begins but once in a step."""
        if task not in self._in_grace:
            self.end(task)
            self._in_grace.add(task)
            task.cancel()
            abandon = functools.partial(task.abandon, "ignored its cancellation")
            self.own[task] = self._loop.call_later(GRACE, abandon)

    def after(self, seconds: float | None, function: Callable[[], object]) -> None:
        """Call *function* so many *seconds* into the phase, unless it ends before."""
        if seconds is not None:
            self._overall.append(self._loop.call_later(seconds, function))

    def remind(self, seconds: float | None, function: Callable[[float], object]) -> None:
        """Call *function* so many *seconds* into the phase, after twice as many, and so on.

        It is called with the seconds that have passed.
        """
        if seconds is None:
            return
        since = self._loop.time()

        def due(delay: float) -> None:
            elapsed = self._loop.time() - since
            function(elapsed)
            while delay <= elapsed:
                delay *= 2
            set_timer(delay)

        def set_timer(delay: float) -> None:
            self._overall.append(self._loop.call_at(since + delay, due, delay))

        set_timer(seconds)

    def end_phase(self) -> None:
        """Take the overall limits of the phase back."""
        while self._overall:
            self._overall.pop().cancel()
