"""Helpers for the process of a server: exit codes, OS signals, stuck threads, a lost supervisor."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from types import FrameType
from typing import Any

from django_asgi_lifespan.last_resort import log

__all__ = (
    "SHUTDOWN_FAILURE",
    "STARTUP_FAILURE",
    "exit_despite_threads",
    "handle_os_signals",
    "ignore_os_signals_at_exit",
    "in_main_thread",
    "stop_signals",
    "watch_supervisor",
)

STARTUP_FAILURE = 3
"""The exit code where the application could not start up, as uvicorn and gunicorn have it."""

SHUTDOWN_FAILURE = 1
"""The exit code where something could not be closed."""

PATIENCE = 5.0
"""Seconds that the process has to end, when its lifespan has: threads may still be running."""

LAST_WORDS = 1.0
"""Seconds to say that threads are left. A pipe that nobody reads would block for ever."""


def exit_despite_threads(
    logger: logging.Logger, *, after: float = PATIENCE, code: int = SHUTDOWN_FAILURE
) -> None:
    """End this process with *code* if threads keep it from ending *after* so many seconds.

    Python waits at its end for the threads of executors, such as that of a synchronous view, and
    nothing can stop a thread. It calls its exit handlers when it has waited. The process ends
    whatever has become of its standard output and standard error. OS signals are ignored from the
    exit handlers on.

    Args:
        logger: is told the names of the threads, as an error.
    """
    exit_now = os._exit
    ignore_os_signals_at_exit()

    def say() -> None:
        others = {*threading.enumerate()} - {threading.main_thread()}
        names = ", ".join(sorted(thread.name for thread in others if not thread.daemon))
        try:
            message = (
                "The process ends without its threads, which go on: %s. End them at the shutdown. "
                "[lifespan-threads]"
            )
            log(logger, logging.ERROR, message, names or "none")
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        finally:
            exit_now(code)

    for seconds, function in (
        (after, say),
        (after + LAST_WORDS, functools.partial(exit_now, code)),
    ):
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        timer.start()
        atexit.register(timer.cancel)


def ignore_os_signals_at_exit() -> None:
    """Ignore the OS signals that stop a process, from Python's exit handlers on.

    Everything is closed by then. Python takes its own handlers away while it ends, so that another
    signal would kill the process, with another exit code.
    """
    for number in _stop_signals():
        atexit.register(signal.signal, number, signal.SIG_IGN)


def in_main_thread() -> bool:
    """Return whether this is the thread that handles OS signals."""
    return threading.current_thread() is threading.main_thread()


def stop_signals() -> list[signal.Signals]:
    """Return the OS signals that a server process is stopped by.

    SIGHUP and SIGQUIT would kill it at once. They are left to a program that has made something
    of them, as ``nohup`` does.
    """
    numbers = _stop_signals()
    others = [number for number in numbers if number.name in ("SIGHUP", "SIGQUIT")]
    taken = {number for number in others if signal.getsignal(number) is not signal.SIG_DFL}
    return [number for number in numbers if number not in taken]


def _stop_signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP", "SIGQUIT")
    return [signal.Signals[name] for name in names if hasattr(signal, name)]


@contextlib.contextmanager
def handle_os_signals(
    numbers: Iterable[int], handler: Callable[[int, FrameType | None], object]
) -> Generator[None]:
    """Handle the OS signals *numbers* by *handler*, and give them back at the end.

    Python handles OS signals in the main thread alone; elsewhere nothing is handled. A handler
    that somebody else has set meanwhile stays.
    """
    before: dict[int, Any] = {}
    if in_main_thread():
        for number in numbers:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            if signal.getsignal(number) == handler:
                # None stands for a handler that was not set from Python, and cannot be given back.
                signal.signal(number, signal.SIG_DFL if previous is None else previous)


@contextlib.contextmanager
def watch_supervisor(logger: logging.Logger, stop: Callable[[], object]) -> Generator[None]:
    """Call *stop* in this event loop if the process ends that has started this one.

    Without the watch, this worker would serve for ever: nobody is left to stop it. Only a process
    that ``multiprocessing`` has started has such a supervisor. On Windows it is not watched.

    Args:
        logger: is told that the supervisor has ended, as an error.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is None or sys.platform == "win32":
        yield
        return
    loop, sentinel = asyncio.get_running_loop(), supervisor.sentinel

    def ended() -> None:
        loop.remove_reader(sentinel)
        message = "The supervisor [%s] has ended, and so does this worker."
        log(logger, logging.ERROR, message, supervisor.pid)
        stop()

    loop.add_reader(sentinel, ended)
    try:
        yield
    finally:
        loop.remove_reader(sentinel)
