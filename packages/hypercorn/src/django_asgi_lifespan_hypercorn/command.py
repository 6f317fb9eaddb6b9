"""The twin of hypercorn's command: all of its options, and an exit code that tells of failures."""

from __future__ import annotations

import copyreg
import signal
import sys
import threading
from multiprocessing.context import SpawnProcess
from typing import Any, cast

from hypercorn.__main__ import main as hypercorn_main

from .stop import end_at_once

__all__ = ("main",)

_workers: list[SpawnProcess] = []
"""Those that may have ended with an exit code that hypercorn forgets."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Their handlers are called in a thread. That of SIGHUP must hold up hypercorn's main loop."""


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


def _start(worker: SpawnProcess) -> tuple[Any, ...]:
    """Take note of a worker as it is pickled, which is how hypercorn starts one."""
    _workers[:] = [each for each in _workers if each.exitcode != 0]
    _workers.append(worker)
    _leave_os_signals_to_a_thread()
    state = cast("tuple[Any, ...]", object.__reduce_ex__(worker, 2))[2]
    return _make, (), state


def _leave_os_signals_to_a_thread() -> None:
    """Let a thread call hypercorn's handlers one after the other, from the first worker on.

    They take a lock. In the main thread, a handler that interrupts another one waits for that lock
    for ever, and so do the workers (hypercorn/run.py:66 in 0.18.0).
    """
    if sys.platform != "win32" and not signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS):
        threading.Thread(target=_call_handlers, name="OS signals", daemon=True).start()


def _call_handlers() -> None:
    while sys.platform != "win32":
        number = signal.sigwait(STOP_SIGNALS)
        handler = signal.getsignal(number)
        if callable(handler):
            handler(number, None)
        elif handler == signal.SIG_DFL:  # hypercorn has not set its own
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
            signal.raise_signal(number)


def _make() -> SpawnProcess:
    """Return the worker in its own process, which SIGTERM ends in order even while it imports."""
    signal.signal(signal.SIGTERM, end_at_once)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    return SpawnProcess.__new__(SpawnProcess)
