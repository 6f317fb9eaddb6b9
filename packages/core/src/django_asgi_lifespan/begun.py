"""The lifespans of one application: those that have begun, and the outcomes of those that ended."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from .lifespans import lifespans

if TYPE_CHECKING:
    import asyncio

    from .lifespans import Lifespan
    from .protocol import Scope
    from .roles import Phase

__all__ = ("BegunLifespans",)


class BegunLifespans:
    """The lifespans of one application, by event loop.

    Attributes:
        latest: the one that was begun last, or its outcome.
    """

    def __init__(self) -> None:
        self._begun: dict[asyncio.AbstractEventLoop, list[Lifespan]] = {}
        self._outcomes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Phase] = (
            weakref.WeakKeyDictionary()
        )
        self.latest: Lifespan | Phase | None = None

    def add(self, loop: asyncio.AbstractEventLoop, lifespan: Lifespan) -> None:
        """Keep *lifespan*, which begins."""
        self._begun.setdefault(loop, []).append(lifespan)
        self.latest = lifespan

    def remove(self, loop: asyncio.AbstractEventLoop, lifespan: Lifespan) -> None:
        """Keep of a lifespan that has ended only how it ended."""
        self._begun[loop].remove(lifespan)
        if not self._begun[loop]:
            del self._begun[loop]
        self._outcomes[loop] = lifespan.phase
        if self.latest is lifespan:
            self.latest = lifespan.phase

    def latest_for(self, loop: asyncio.AbstractEventLoop, scope: Scope) -> Lifespan | Phase | None:
        """Return the lifespan of a request, or the outcome of the last one, in its event loop."""
        if loop in self._begun:
            return self.find(loop, scope)
        if loop in self._outcomes:
            return self._outcomes[loop]
        return self.latest

    def find(self, loop: asyncio.AbstractEventLoop, scope: Scope) -> Lifespan | None:
        """Return the lifespan of a request: of several, the one whose objects its state holds."""
        here = self._begun.get(loop) or lifespans.running.get(loop) or ()
        if len(here) == 1:
            return here[0]
        state = scope.get("state", {})
        fitting = [each for each in here if each.is_in(state)]
        return max(fitting or here, key=_fullest_running_newest, default=None)

    def all_run_alone(self) -> bool:
        """Return whether all that were begun are running, each alone in its event loop."""
        begun = [lifespan for here in self._begun.values() for lifespan in here]
        return (
            bool(begun)
            and all(lifespan.phase == "running" for lifespan in begun)
            and all(outcome != "failed" for outcome in self._outcomes.values())
            and all(len(here) == 1 for here in lifespans.running.values())
        )


def _fullest_running_newest(lifespan: Lifespan) -> tuple[int, bool, int]:
    return len(lifespan.state), lifespan.phase == "running", lifespan.number
