"""The deadlines of one stop: numbers alone, without a loop and without a server."""

from __future__ import annotations

import math

from .limits import DRAIN_SHARE, GRACE, KILL_MARGIN, LAST_WORK

__all__ = ("Deadlines",)


class Deadlines:
    """When requests are given up, and when nobody waits for them any more, in seconds of a clock.

    A deadline only moves closer.

    Args:
        limit: seconds that requests have from the begin of the stop on, or None for no limit.

    Attributes:
        begun_at: when the stop began, or None before.
        kill_after: seconds from the OS signal on after which the parent process kills.
        share: the part of them that requests have.
        disconnect_at: when the clients of the requests left are disconnected.
        abandon_at: when the requests left are waited for no more.
        end_by: when the lifespan has to have ended, because the parent process kills then.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self.kill_after = math.inf
        self.share = DRAIN_SHARE
        self.begun_at: float | None = None
        self.disconnect_at = math.inf
        self.abandon_at = math.inf
        self.end_by = math.inf

    @classmethod
    def before_kill(cls, seconds: float, *, share: float = DRAIN_SHARE) -> Deadlines:
        """Return those of a process that its parent kills so many *seconds* after the begin.

        Args:
            share: the part of them that requests have.
        """
        deadlines = cls(seconds * share)
        deadlines.kill_after = seconds
        deadlines.share = share
        return deadlines

    @property
    def cancel_at(self) -> float:
        """When the tasks of the requests left are cancelled."""
        return (self.disconnect_at + self.abandon_at) / 2

    @property
    def cut_at(self) -> float:
        """When a startup or shutdown that goes on is cancelled, so that it ends in time."""
        return self.end_by - LAST_WORK

    @property
    def limit(self) -> float | None:
        """Seconds that requests have, or had, since the begin of the stop, or None without a limit.

        It shrinks with the deadlines.
        """
        if self.begun_at is None or self.abandon_at == math.inf:
            return self._limit
        return self.abandon_at - self.begun_at

    def begin(self, now: float) -> None:
        """Begin to count, the first time."""
        if self.begun_at is None:
            self.begun_at = now
            if self._limit is not None:
                self.shorten(now, self._limit)
            self.kill(now, self.kill_after)

    def delay(self, now: float, seconds: float) -> None:
        """Note that the stop begins in so many *seconds*, and the time before the kill now."""
        if self.kill_after < math.inf:
            self._limit = max(0.0, self.kill_after - seconds) * self.share
            self.kill(now, self.kill_after)

    def shorten(self, now: float, seconds: float) -> None:
        """Give requests so many *seconds* from now on, unless they have less.

        Those that get none at all still have the second after they were given up.
        """
        grace = min(GRACE, seconds / 2) or GRACE
        self.disconnect_at = min(self.disconnect_at, now + max(0.0, seconds - grace))
        self.abandon_at = min(self.abandon_at, now + max(grace, seconds))

    def hurry(self, now: float) -> None:
        """Give requests up now."""
        self.shorten(now, 0.0)

    def kill(self, now: float, seconds: float) -> None:
        """Take note that the parent process kills this one so many *seconds* from now."""
        self.end_by = min(self.end_by, now + seconds - min(1.0, seconds * KILL_MARGIN))
