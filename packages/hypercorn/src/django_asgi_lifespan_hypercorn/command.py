"""The twin of hypercorn's command: all of its options, and an exit code that tells of failures."""

from __future__ import annotations

import copyreg
import signal
import sys
from multiprocessing.context import SpawnProcess
from typing import Any, cast

from hypercorn.__main__ import main as hypercorn_main

from django_asgi_lifespan.adapters import call_handlers_in_thread

from .stop import end_at_once

__all__ = ("main",)

_workers: list[SpawnProcess] = []
"""Those that may have ended with an exit code that hypercorn forgets."""


def main() -> None:
    """Run hypercorn's command, unmodified, and exit with the code of the first worker that failed.

    hypercorn overwrites that code with what a second, empty list of workers has to tell
    (hypercorn/run.py:106 in 0.18.0).

    Raises:
        SystemExit: with the exit code.
    """
    copyreg.pickle(SpawnProcess, _start)
    code = hypercorn_main()
    for worker in _workers:
        worker.join()  # as Python would do at its end
    # hypercorn ends workers by SIGTERM. For other OS signals, shells have 128 and the number.
    ended = (0, None, -signal.SIGTERM)
    failed = next((each.exitcode for each in _workers if each.exitcode not in ended), None) or 0
    sys.exit(code or (failed if failed >= 0 else 128 - failed))


class _Watched(SpawnProcess):
    """A worker for whose end hypercorn waits. It has set its handlers of OS signals by then.

    They take a lock (hypercorn/run.py:66 in 0.18.0), so they are called in a thread. The one of
    SIGHUP is not, because it must hold up hypercorn's main loop.
    """

    @property
    def sentinel(self) -> int:
        call_handlers_in_thread([signal.SIGINT, signal.SIGTERM])
        return super().sentinel


def _start(worker: SpawnProcess) -> tuple[Any, ...]:
    """Take note of a worker as it is pickled, which is how hypercorn starts one."""
    _workers[:] = [each for each in _workers if each.exitcode != 0]
    _workers.append(worker)
    worker.__class__ = _Watched
    state = cast("tuple[Any, ...]", object.__reduce_ex__(worker, 2))[2]
    return _make, (), state


def _make() -> SpawnProcess:
    """Return the worker in its own process, which SIGTERM ends in order even while it imports."""
    signal.signal(signal.SIGTERM, end_at_once)
    return SpawnProcess.__new__(SpawnProcess)
