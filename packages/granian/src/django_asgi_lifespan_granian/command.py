"""The twin of granian's command: its options, a parent that hears every OS signal, exit codes."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess, parent_process
from typing import Any, cast

from granian.cli import entrypoint
from granian.server.common import AbstractServer

from django_asgi_lifespan.adapters import (
    KILL_LIMIT,
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    call_handlers_in_thread,
    has_heard,
    ignore_os_signals_at_exit,
    note_spawned,
    take_handlers_back,
    variables_on_stack,
)

from .stop import SHUTDOWN_FAILED

__all__ = ("main",)

STARTUP_FAILURES = (1, STARTUP_FAILURE)
"""The exit codes of a worker that could not start, by granian itself and beside a thread."""

NOTED = 5.0
"""Seconds in which a thread of granian's notes the exit code of a worker that has ended."""

_workers: list[BaseProcess] = []
"""The workers that may have ended with an exit code that granian forgets."""

_is_crash_loop = False


def main() -> None:
    """Run granian's command, unmodified, and exit with 3 where a worker could not start.

    Raises:
        SystemExit: with the exit code: 1 where a worker could not close everything.
    """
    os.environ.setdefault("GRANIAN_WORKERS_KILL_TIMEOUT", str(KILL_LIMIT))
    # granian sends its workers SIGTERM for a Ctrl+C.
    ignore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    note_spawned(_note_spawned, prepare=ignore)
    if sys.platform != "win32":
        os.register_at_fork(before=_note_forked, after_in_parent=_take_over, after_in_child=_reset)
    code: str | int | None = 0
    try:
        cast("Callable[[], None]", entrypoint)()  # granian has no annotation there
    except SystemExit as end:
        code = end.code
    ignore_os_signals_at_exit()
    sys.exit(_exit_code(code))


def _exit_code(code: str | int | None) -> str | int | None:
    """Return the exit code of the command, where granian has ended with *code*.

    granian ends with 1 where the workers got the OS signal, too, and were faster than their parent.
    """
    ends = {_end(worker) for worker in _workers}
    if _is_crash_loop or (code and not ends.isdisjoint(STARTUP_FAILURES)):
        return STARTUP_FAILURE
    if code == 1 and ends.issubset((0, -signal.SIGTERM)):
        return 0 if has_heard(signal.SIGTERM, signal.SIGINT) else 1
    return code or (SHUTDOWN_FAILURE if SHUTDOWN_FAILED in ends else 0)


def _end(worker: BaseProcess) -> int | None:
    """Return the exit code of a worker that has ended.

    Two threads of granian's wait for it (granian/server/common.py:59 and 388 in 2.8.9). One of
    them is given the exit code. Until it has noted it, the other one finds none.
    """
    deadline = time.monotonic() + NOTED
    while (code := worker.exitcode) is None and time.monotonic() < deadline:
        time.sleep(0.001)
    return code


def _note(worker: BaseProcess) -> None:
    """Take note of a worker that is about to start, and stop where startups fail again and again.

    granian's own rule forgets the other workers, so that two that fail in turn never end
    (granian/server/common.py:553 in 2.8.9).
    """
    global _is_crash_loop
    ends = {each: each.exitcode for each in _workers}
    has_served = not {None, SHUTDOWN_FAILED, *STARTUP_FAILURES}.issuperset(ends.values())
    kept = (None, SHUTDOWN_FAILED, *(() if has_served else STARTUP_FAILURES))
    _workers[:] = [*(each for each in ends if ends[each] in kept), worker]
    respawn = variables_on_stack(cast("Any", AbstractServer)._respawn_workers)
    failures = [each for each in _workers if each.exitcode in STARTUP_FAILURES]
    if respawn and not respawn["delay"] and len(failures) > respawn["self"].workers:
        _is_crash_loop = True
        respawn["self"].signal_handler_interrupt()
    elif respawn and respawn["self"].interrupt_signal:
        # A stop right after SIGHUP, which granian forgets (granian/server/common.py:533).
        respawn["self"].main_loop_interrupt.set()


def _note_spawned(worker: SpawnProcess) -> None:
    """Take note of a worker that is about to be spawned, and tell it its options."""
    serve = variables_on_stack(cast("Any", AbstractServer).serve)
    if serve is not None:
        _note(worker)
        _take_over()
        os.environ["GRANIAN_WORKERS_KILL_TIMEOUT"] = str(serve["self"].workers_kill_timeout)
        os.environ["GRANIAN_RELOAD"] = str(serve["self"].reload_on_changes)


def _take_over() -> None:
    """Let a thread call granian's handlers of OS signals, from the first worker on.

    granian's parent waits for a lock (granian/server/common.py:544 in 2.8.9), and its handlers
    take that lock for a moment. A thread before the first fork would cause a warning. A worker that
    starts a process of its own keeps its handlers.
    """
    if parent_process() is None:
        call_handlers_in_thread([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])


def _note_forked() -> None:
    """Take note of a worker that is about to be forked."""
    start = variables_on_stack(BaseProcess.start)
    if start is not None and parent_process() is None:
        _note(start["self"])


def _reset() -> None:
    """Let a forked worker have granian's handlers, or die where its parent was about to stop."""
    take_handlers_back()
    server: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(cast("object", server), AbstractServer) and server.interrupt_signal:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _workers.clear()
