"""The twin of granian's command: its options, a parent that hears every OS signal, exit codes."""

from __future__ import annotations

import copyreg
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any, cast

from granian.cli import entrypoint
from granian.server.common import AbstractServer

from django_asgi_lifespan.adapters import SHUTDOWN_FAILURE, STARTUP_FAILURE, variables_on_stack

from .stop import SHUTDOWN_FAILED

__all__ = ("inherits_stop", "main")

KILL_TIMEOUT = "30"
"""Seconds that workers have to stop, by default: granian itself waits without a limit.

It is as long as Kubernetes waits before it kills, by default.
"""

inherits_stop = False
"""Whether this process was forked while its parent was about to stop, and not told itself."""

_workers: list[BaseProcess] = []
"""The workers that may have ended with an exit code that granian forgets."""


def main() -> None:
    """Run granian's command, unmodified, and exit with 3 where a worker could not start.

    Raises:
        SystemExit: with the exit code: 1 where a worker could not close everything.
    """
    os.environ.setdefault("GRANIAN_WORKERS_KILL_TIMEOUT", KILL_TIMEOUT)
    copyreg.pickle(SpawnProcess, _note_spawned)
    if sys.platform != "win32":
        os.register_at_fork(
            before=_note_forked, after_in_parent=_wake_main_thread, after_in_child=_reset
        )
    code: str | int | None = 0
    try:
        cast("Callable[[], None]", entrypoint)()  # granian has no annotation there
    except SystemExit as end:
        code = end.code
    sys.exit(_exit_code(code))


def _exit_code(code: str | int | None) -> str | int | None:
    """Return the exit code of the command, where granian has ended with *code*."""
    ends = {worker.exitcode for worker in _workers}
    if code and not ends.isdisjoint({1, STARTUP_FAILURE}):
        return STARTUP_FAILURE
    return code or (SHUTDOWN_FAILURE if SHUTDOWN_FAILED in ends else 0)


def _note(worker: BaseProcess) -> None:
    _workers[:] = [each for each in _workers if each.exitcode != 0]
    _workers.append(worker)


def _note_spawned(worker: SpawnProcess) -> tuple[Any, ...]:
    """Take note of a worker as it is pickled, which is how one is spawned."""
    _note(worker)
    return cast("tuple[Any, ...]", object.__reduce_ex__(worker, 2))


if sys.platform != "win32":

    def _note_forked() -> None:
        """Take note of a worker that is about to be forked, and of a stop of the parent."""
        global inherits_stop
        start = variables_on_stack(BaseProcess.start)
        if start is not None:
            _note(start["self"])
        server: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        inherits_stop = (
            isinstance(cast("object", server), AbstractServer) and server.interrupt_signal
        )

    def _reset() -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGURG, signal.SIG_DFL)
        _workers.clear()

    def _wake_main_thread() -> None:
        """Let the main thread hear every OS signal from the first worker on.

        granian's parent waits for a lock (granian/server/common.py:544 in 2.8.7). Python calls
        handlers in the main thread alone, and the system may give an OS signal to another thread,
        where it does not end that wait. A thread before the first fork would cause a warning.
        """
        if signal.getsignal(signal.SIGURG) is signal.SIG_DFL:
            signal.signal(signal.SIGURG, _end_wait)
            read, write = os.pipe()
            os.set_blocking(write, False)
            signal.set_wakeup_fd(write, warn_on_full_buffer=False)
            threading.Thread(target=_pass_on, args=(read,), name="OS signals", daemon=True).start()

    def _pass_on(read: int) -> None:
        main_thread = threading.main_thread().ident
        while number := os.read(read, 1):
            if number[0] != signal.SIGURG and main_thread is not None:
                signal.pthread_kill(main_thread, signal.SIGURG)

    def _end_wait(number: int, frame: object) -> None:
        """End the wait of the main thread, which then calls the handlers of other OS signals."""
