"""How long a worker that was told to stop has for what: the one budget of ``graceful_timeout``."""

from __future__ import annotations

import math
import signal

__all__ = ("Stop",)

IMPATIENCE = 2.0
"""Seconds that gunicorn's arbiter leaves its workers when a SIGINT or SIGQUIT follows a SIGTERM.

Source: gunicorn/arbiter.py:482 in 27.0.1, ``Arbiter.stop()``.
"""


class Stop:
    """When the requests in flight, and when everything has to be over; in monotonic seconds.

    The arbiter counts from the OS signal that it sends, and kills at the end. Sources, in gunicorn
    27.0.1: arbiter.py:442, ``Arbiter.stop()``, and "Signal Handling" in its documentation.

    Args:
        graceful_timeout: seconds from the first request to stop until the arbiter kills.
        drain_share: the share of them that requests in flight get; the lifespan gets the rest.
        quick_timeout: seconds that requests in flight get at SIGINT and SIGQUIT, if that is less.

    Attributes:
        requested: whether the worker was told to stop.
        drain_until: when requests in flight are given up; may move closer.
        end_by: when the lifespan has to have ended; may move closer.
    """

    def __init__(
        self, *, graceful_timeout: float, drain_share: float, quick_timeout: float
    ) -> None:
        self.requested = False
        self.drain_until = math.inf
        self.end_by = math.inf
        self._graceful_timeout = graceful_timeout
        self._drain_share = drain_share
        self._quick_timeout = quick_timeout
        self._signals: set[int] = set()

    def request(self, now: float) -> None:
        """Begin to count, the first time."""
        if not self.requested:
            self.requested = True
            self.drain_until = now + self._graceful_timeout * self._drain_share
            self.end_by = now + _less_margin(self._graceful_timeout)

    def receive(self, number: int, now: float) -> None:
        """Take note of an OS signal.

        One Ctrl+C is two OS signals for a worker, SIGINT from the terminal and then SIGQUIT from
        the arbiter, so only a second SIGINT means to wait no more.
        """
        self.request(now)
        if number in (signal.SIGINT, signal.SIGQUIT):
            self.drain_until = min(self.drain_until, now + self._quick_timeout)
        if number == signal.SIGINT and signal.SIGINT in self._signals:
            self.drain_until = min(self.drain_until, now)
        if number == signal.SIGQUIT and signal.SIGTERM in self._signals:
            self.drain_until = min(self.drain_until, now)
            self.end_by = min(self.end_by, now + _less_margin(IMPATIENCE))
        self._signals.add(number)


def _less_margin(seconds: float) -> float:
    """Leave time for the end of the process, and for the arbiter, which looks every 0.1 s."""
    return seconds - min(1.0, seconds / 10)
