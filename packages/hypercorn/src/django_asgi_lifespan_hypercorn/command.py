"""The twin of hypercorn's command: all of its options, and an exit code that tells of failures."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import signal
import sys
import threading
import time
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

from hypercorn.__main__ import main as hypercorn_main
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from django_asgi_lifespan.adapters import (
    SAME_STOP,
    STARTUP_FAILURE,
    call_handlers_in_thread,
    log_failure,
    note_spawned,
)

from .stop import prepare

__all__ = ("main",)

logger = logging.getLogger("hypercorn.error")  # the one that hypercorn's log configuration shows

_workers: list[SpawnProcess] = []
"""Those that run or have failed. hypercorn forgets exit codes (hypercorn/run.py:106 in 0.18.0)."""


EARLIER = 0.05
"""Seconds by which the parent's delay is shorter, so that its stop begins before workers end."""


class _DelayedStop:
    """The handler of SIGTERM in the parent: it calls hypercorn's after the drain delay.

    Hypercorn's stops all workers at once.

    Attributes:
        seconds: the delay, as a worker that is ready has written it down.
    """

    def __init__(self) -> None:
        self.seconds = multiprocessing.get_context("spawn").RawValue("d", 0.0)
        self._begun_at: float | None = None

    def take_over(self) -> None:
        """Handle SIGTERM, where hypercorn has set its own handler anew."""
        handler: Any = signal.getsignal(signal.SIGTERM)
        if getattr(handler, "__module__", "") == "hypercorn.run":
            self._handler = handler
            signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._begun_at is None and self.seconds.value:
            self._begun_at = now
            seconds = max(0.0, self.seconds.value - EARLIER)
            timer = threading.Timer(seconds, self._handler, (number, frame))
            timer.daemon = True
            timer.start()
            for worker in [each for each in _workers if each.pid is not None]:
                worker.terminate()  # by SIGTERM, at which a worker is not ready any more
        elif self._begun_at is None or now - self._begun_at >= SAME_STOP:
            self._handler(number, frame)


_delayed = _DelayedStop()


def main() -> None:
    """Run hypercorn's command, unmodified, and exit with the code of the first worker that failed.

    Raises:
        SystemExit: with the exit code.
    """
    note_spawned(_note, prepare=functools.partial(prepare, _delayed.seconds))
    hypercorn_main()
    for worker in _workers:
        worker.join()  # as Python would do at its end
    # hypercorn ends workers by SIGTERM. For other OS signals, shells have 128 and the number.
    codes = [each.exitcode for each in _workers if each.exitcode != -signal.SIGTERM]
    failed = next(filter(None, codes), 0)
    sys.exit(failed if failed >= 0 else 128 - failed)


def _note(worker: SpawnProcess) -> None:
    _workers[:] = [*(each for each in _workers if each.exitcode != 0), worker]
    worker.__class__ = SpawnedWorker


class SpawnedWorker(SpawnProcess):
    """A worker of hypercorn's, in the process that waits for it, and in its own."""

    @property
    def sentinel(self) -> int:
        """Return the handle that hypercorn waits for, when it has set its handlers of OS signals.

        They take a lock (hypercorn/run.py:66 in 0.18.0), so a thread is to call them. The one of
        SIGHUP has to hold up the main thread.
        """
        _delayed.take_over()
        call_handlers_in_thread([signal.SIGINT, signal.SIGTERM])
        return super().sentinel

    def run(self) -> None:
        """Serve, and exit with 3 where an application in front of the project's has not started.

        Raises:
            SystemExit: with the exit code.
        """
        try:
            super().run()
        except (LifespanFailureError, LifespanTimeoutError) as error:
            if " startup." not in str(error):
                raise
            log_failure(logger, "%s", error)
            raise SystemExit(STARTUP_FAILURE) from None
