"""The twin of granian's command: all of its options, and a parent that hears every OS signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import cast

from granian.cli import entrypoint

__all__ = ("main",)

KILL_TIMEOUT = "30"
"""Seconds that workers have to stop, by default: granian itself waits without a limit.

It is as long as Kubernetes waits before it kills, by default.
"""


def main() -> None:
    """Run granian's command, unmodified, with a thread that receives the OS signals of the parent.

    granian's parent waits for a lock (granian/server/common.py:544 in 2.8.7). Python calls handlers
    in the main thread alone, and of OS signals that come close together the system may give one to
    another thread, where it does not end that wait.
    """
    os.environ.setdefault("GRANIAN_WORKERS_KILL_TIMEOUT", KILL_TIMEOUT)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, _signals())
        os.register_at_fork(after_in_child=_unblock)
        threading.Thread(target=_receive, name="OS signals", daemon=True).start()
    cast("Callable[[], None]", entrypoint)()  # granian has no annotation there


if sys.platform != "win32":

    def _signals() -> set[signal.Signals]:
        return {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

    def _unblock() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _signals())

    def _receive() -> None:
        """Call the handlers that granian has set; until it has, end the process."""
        while True:
            number = signal.sigwait(_signals())
            handler = signal.getsignal(number)
            if handler is signal.SIG_DFL or handler is signal.default_int_handler:
                os._exit(128 + number)
            elif callable(handler):
                handler(number, None)

    _unblock()  # a worker that was spawned, not forked, imports this and inherits the block
