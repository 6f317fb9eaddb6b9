"""How the process of a server ends, as the adapters have it in common."""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable

__all__ = (
    "PATIENCE",
    "SAME_STOP",
    "SHUTDOWN_FAILURE",
    "STARTUP_FAILURE",
    "end_process",
    "watch_supervisor",
)

STARTUP_FAILURE = 3
"""The exit code where the application could not start up, as uvicorn and gunicorn have it."""

SHUTDOWN_FAILURE = 1
"""The exit code where something could not be closed."""

SAME_STOP = 0.5
"""Seconds in which further OS signals tell of the same stop, not of more haste.

A program that runs the server sends it SIGTERM at Ctrl+C, while the terminal sends SIGINT.
"""

PATIENCE = 5.0
"""Seconds that the process has to end, when its lifespan has: threads may still be running."""


def end_process(
    logger: logging.Logger, *, after: float = PATIENCE, code: int = SHUTDOWN_FAILURE
) -> None:
    """End this process with *code* if threads keep it from ending *after* so many seconds.

    Python waits at its end for the threads of executors, such as that of a synchronous view, and
    nothing can stop a thread. It calls its exit handlers when it has waited.

    Args:
        logger: is told the names of the threads, as an error.
    """

    def end() -> None:
        others = {*threading.enumerate()} - {threading.main_thread()}
        names = ", ".join(sorted(thread.name for thread in others if not thread.daemon))
        logger.error("The process ends without its threads, which go on: %s", names or "none")
        sys.stdout.flush()
        os._exit(code)

    timer = threading.Timer(after, end)
    timer.daemon = True
    timer.start()
    atexit.register(timer.cancel)


def watch_supervisor(logger: logging.Logger, stop: Callable[[], object]) -> Callable[[], object]:
    """Call *stop* in this event loop if the process ends that has started this one.

    Nobody else is there then to stop this worker, which would serve for ever. Only what
    ``multiprocessing`` has started has such a supervisor, and on Windows it is not watched.

    Args:
        logger: is told that the supervisor has ended, as an error.

    Returns:
        What ends the watch.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is None or sys.platform == "win32":
        return _nothing_to_end
    loop = asyncio.get_running_loop()
    end_watch = functools.partial(loop.remove_reader, supervisor.sentinel)

    def ended() -> None:
        end_watch()
        logger.error("The supervisor [%s] has ended, and so does this worker.", supervisor.pid)
        stop()

    loop.add_reader(supervisor.sentinel, ended)
    return end_watch


def _nothing_to_end() -> None:
    """End no watch."""
