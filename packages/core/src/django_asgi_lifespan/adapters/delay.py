"""The drain delay: readiness fails, and everything else is served as before, until the stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

from django_asgi_lifespan.conf import lifespan_settings
from django_asgi_lifespan.last_resort import log

from .limits import SAME_STOP

if TYPE_CHECKING:
    from .deadlines import Deadlines
    from .server import AdaptedLifespan
    from .stop import Stop

__all__ = ("DrainDelay",)


class DrainDelay:
    """The delay of one stop, in which clients and proxies find another worker.

    Make it in the event loop.

    Args:
        stop: begins at the end of the delay. A parent process that kills counts from the OS
            signal on.
        lifespan: learns at once that its worker is leaving.
        option: the option of the server that sets the time of the kill.
        logger: one that the log configuration of the server shows.

    Raises:
        ImproperlyConfigured: the stop may last until the parent process kills.
    """

    def __init__(
        self, stop: Stop, lifespan: AdaptedLifespan, option: str, logger: logging.Logger
    ) -> None:
        _require_fit(lifespan.drain_delay, stop.deadlines, option)
        self._stop = stop
        self._lifespan = lifespan
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._begun_at: float | None = None

    def holds_back(self, number: int, now: float) -> bool:
        """Return whether the stop waits, although the OS signal *number* has arrived.

        The first SIGTERM begins the delay, and every other OS signal ends it. SIGTERM within half
        a second is part of the same stop: a service manager sends it to all processes of a
        server, and the parent process sends it to its workers once more.
        """
        if number != signal.SIGTERM or self._lifespan.phase != "running":
            return False
        if self._begun_at is not None:
            return now - self._begun_at < SAME_STOP
        self._begun_at = now
        self._lifespan.is_leaving = True
        self._stop.deadlines.delay(now, self._lifespan.drain_delay)
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._wait)
        return True

    def _wait(self) -> None:
        log(
            self._logger,
            logging.INFO,
            "Told to stop: not ready any more. The stop begins in %g s (DRAIN_DELAY).",
            self._lifespan.drain_delay,
        )
        self._loop.call_later(self._lifespan.drain_delay, self._stop.request)


def _require_fit(delay: float, deadlines: Deadlines, option: str) -> None:
    """Require that a stop with this *delay* ends before the parent process kills."""
    kill, share = deadlines.kill_after, deadlines.share
    if kill == math.inf:
        return
    shutdown = lifespan_settings().shutdown_timeout or 0.0
    drain = max(0.0, kill - delay) * share
    total = round(delay + drain + shutdown, 3)
    if total > kill:
        needed = math.ceil(round(delay + shutdown / (1 - share), 3)) if share < 1 else math.inf
        raise ImproperlyConfigured(
            f"The stop of a worker may take {delay:g} s (DRAIN_DELAY) + {drain:g} s (requests in "
            f"flight) + {shutdown:g} s (SHUTDOWN_TIMEOUT) = {total:g} s, but its parent process "
            f"kills it after {kill:g} s ({option}). Set {option} to {needed:g} or more, or lower "
            f"the two settings. [lifespan-stop-time]"
        )
