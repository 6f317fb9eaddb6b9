"""The child of Django's autoreloader, which serves in one thread and watches files in another."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from django.utils import autoreload

from django_asgi_lifespan.last_resort import log

from .limits import SAME_STOP
from .process import SHUTDOWN_FAILURE, exit_despite_threads, stop_signals

__all__ = ("Child", "stop_in_thread")

PIPE = "DJANGO_ASGI_LIFESPAN_PARENT"
"""The environment variable with the file descriptor of a pipe that is closed with the parent."""

TICK = 0.1
"""Seconds between two chances for the main thread to handle OS signals.

An OS signal may arrive in another thread, and wakes the main thread from no wait.
"""

BLOCKED = 5.0
"""Seconds after which an event loop that does nothing else is taken for blocked."""

PATIENCE = 1.0
"""Seconds that the server's thread has to end when everything is closed, and then the others."""


def stop_in_thread(
    call_soon: Callable[[Callable[[], object]], object],
    begin: Callable[[], object],
    closed: threading.Event,
    logger: logging.Logger,
) -> bool:
    """Stop the server of another thread, and return True when it has closed everything.

    Args:
        call_soon: calls a function in the event loop of that thread.
        begin: begins the stop, in that event loop.
        closed: is set by the server.
        logger: is told, as an error, that code blocks the event loop. Then the result is False.
    """
    has_begun = threading.Event()

    def run() -> None:
        has_begun.set()
        begin()

    with contextlib.suppress(RuntimeError):  # the event loop is closed
        call_soon(run)
    blocked_at = time.monotonic() + BLOCKED
    while not closed.wait(TICK):
        if not has_begun.is_set() and time.monotonic() >= blocked_at:
            message = (
                "Code blocks the event loop. The process ends without closing. Run such code in a "
                "thread. [lifespan-blocked]"
            )
            log(logger, logging.ERROR, message)
            return False
    return True


class Child:
    """The process that serves: one thread watches the files, another one runs the server.

    The main thread waits for OS signals. Their handler raises nothing: where two arrive at once,
    Python may call the second handler with the exception of the first one still set.
    """

    def __init__(self, stop: Callable[[], int], logger: logging.Logger) -> None:
        self._stop = stop
        self._logger = logger
        self._is_told = False
        self._told_at = math.inf
        self._is_closing = False
        self._served = threading.Event()
        self._code = 1

    def run(self, serve: Callable[..., object], options: dict[str, Any]) -> NoReturn:
        for number in stop_signals():
            signal.signal(number, self._receive)
        if PIPE in os.environ:
            pipe = int(os.environ.pop(PIPE))
            threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
        autoreload.ensure_echo_on()  # it sets an OS signal's handler, as only this thread may
        watch = threading.Thread(
            target=self._watch, args=(serve, options), name="autoreload", daemon=True
        )
        watch.start()
        while watch.is_alive() and not self._is_told:
            watch.join(TICK)
        self._is_closing = True
        failure = self._stop()
        self._served.wait(PATIENCE)
        code = failure if self._is_told else self._code
        exit_despite_threads(self._logger, after=PATIENCE, code=code)
        sys.exit(code)

    def _watch(self, serve: Callable[..., object], options: dict[str, Any]) -> None:
        """Serve in another thread, and watch the files until one has changed."""

        def serve_to_the_end(**options: Any) -> None:
            try:
                serve(**options)
            finally:
                self._served.set()

        reloader = autoreload.get_reloader()
        autoreload.logger.info("Watching for file changes with %s", reloader.__class__.__name__)
        try:
            autoreload.start_django(reloader, serve_to_the_end, **options)
        except SystemExit as reason:
            self._code = reason.code if isinstance(reason.code, int) else 0

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Stop at the first OS signal. A later Ctrl+C ends the process while it closes.

        Ctrl+C comes twice, from the terminal and as SIGTERM from the parent.
        """
        if not self._is_told:
            self._told_at = time.monotonic()
            self._is_told = True
        elif (
            number == signal.SIGINT
            and self._is_closing
            and time.monotonic() - self._told_at >= SAME_STOP
        ):
            _exit_at_once()


def _exit_at_once() -> None:
    """End the process although something is open, whatever has become of standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    words = b"The process ends before everything is closed.\n"
    say = threading.Thread(target=os.write, args=(2, words), daemon=True)
    say.start()
    say.join(PATIENCE)
    os._exit(SHUTDOWN_FAILURE)


def _end_with_parent(pipe: int) -> None:
    """Stop when the parent has ended, and with it the other end of the pipe."""
    os.set_inheritable(pipe, False)
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
