"""An orderly stop of a process of uvicorn: resources close, whatever OS signals it is stopped by.

What it relies on in uvicorn is listed in ``server.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import threading
import time
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import HANDLED_SIGNALS

from django_asgi_lifespan.process import SAME_STOP, watch_supervisor
from django_asgi_lifespan.state import announce_stopping

__all__ = (
    "GRACE",
    "OrderlyStop",
    "find_server",
    "is_main_thread",
    "orderly_stop",
    "stop_signals",
)

logger = logging.getLogger("uvicorn.error")  # the one that uvicorn's log configuration shows

GRACE = 1.0
"""Seconds that requests have to end, when they were given up, while every resource still works."""

_TICK = 0.1
"""Seconds between two looks at the server; uvicorn's own main loop takes as many."""

_ALSO_STOP = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name))
"""They kill a single process of uvicorn at once."""


def stop_signals() -> list[int]:
    """Return the OS signals that are to stop this process.

    SIGHUP and SIGQUIT are left to those who have made something of them, such as ``nohup``.
    """
    also = [number for number in _ALSO_STOP if signal.getsignal(number) is signal.SIG_DFL]
    return [*HANDLED_SIGNALS, *also]


def is_main_thread() -> bool:
    """Return whether this is the thread that handles OS signals."""
    return threading.current_thread() is threading.main_thread()


def find_server() -> uvicorn.Server | None:
    """Return the server that runs in this thread, as far as OS signals can tell.

    It has made its method ``handle_exit`` the handler of them (``capture_signals``,
    uvicorn/server.py:332), which it cannot in another thread than the main one.
    """
    if is_main_thread():
        owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if isinstance(owner, uvicorn.Server):
            return owner
    return None


def orderly_stop(
    server: uvicorn.Server | None, lifespan: LifespanOn, *, exits: bool
) -> AbstractContextManager[None]:
    """Return what to be inside of while *lifespan* runs, so that it shuts down whatever comes.

    To be entered in the task of the lifespan.

    Args:
        server: the one that runs the lifespan; without it, nothing is done.
        lifespan: as uvicorn has it.
        exits: whether the process ends with the server, as under the command of this package.
            Else an OS signal is noted by uvicorn as ever, which raises it once more at its end:
            a program around the server may rely on that.
    """
    if server is None:
        return contextlib.nullcontext()
    return OrderlyStop(server, lifespan, exits=exits)


class OrderlyStop(AbstractContextManager[None]):
    """Takes over the OS signals of a server; the first stops it, and a real second one hastens it.

    uvicorn skips the lifespan's shutdown when SIGINT comes after any other stop
    (uvicorn/server.py:310, uvicorn/server.py:353), be it 20 ms later.
    """

    def __init__(self, server: uvicorn.Server, lifespan: LifespanOn, *, exits: bool) -> None:
        self._server = server
        self._lifespan = lifespan
        self._exits = exits
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._since: float | None = None
        self._announced = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> None:
        # Both signals came while the application was imported: there was nothing to hasten.
        self._server.force_exit = False
        for number in stop_signals() if is_main_thread() else ():
            self._handlers[number] = signal.signal(number, self._handle)
        self._end_watch = watch_supervisor(
            logger, functools.partial(signal.raise_signal, signal.SIGTERM)
        )
        self._watch = self._loop.create_task(self._watch_server(), name="watch of the server")

    def __exit__(self, *details: object) -> None:
        self._watch.cancel()
        self._end_watch()
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if number == signal.SIGINT and self._server.should_exit:
            if now - self._since >= SAME_STOP:
                self._loop.call_soon_threadsafe(self._give_up)
            return
        if self._exits or number not in HANDLED_SIGNALS:
            self._server.should_exit = True
        else:
            self._handlers[number](number, frame)
        self._loop.call_soon_threadsafe(self._announce)

    async def _watch_server(self) -> None:
        """Find out that the server stops for another reason, such as its limit of requests."""
        while self._is_serving():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(_TICK)
        self._announce()

    def _is_serving(self) -> bool:
        server = self._server
        if not server.started:
            return True
        return not server.should_exit and any(each.is_serving() for each in server.servers)

    def _announce(self) -> None:
        if self._announced:
            return
        self._announced = True
        announce_stopping()
        requests = len(self._server.server_state.tasks)
        is_starting = self._is_starting()
        if not (requests or is_starting):
            return
        what = "the startup" if is_starting else f"requests in flight: {requests}"
        limit = self._server.config.timeout_graceful_shutdown
        if limit is None:
            logger.info(
                "Waiting without a limit for %s (set one with --timeout-graceful-shutdown).", what
            )
        else:
            logger.info("Waiting at most %g s for %s (--timeout-graceful-shutdown).", limit, what)
            self._loop.call_later(limit - min(GRACE, limit / 2), self._give_up)

    def _is_starting(self) -> bool:
        return not self._lifespan.startup_event.is_set()

    def _give_up(self) -> None:
        if self._is_starting():
            self._give_up_startup()
        else:
            self._give_up_requests()

    def _give_up_startup(self) -> None:
        """Cancel the startup, which closes what is open."""
        logger.warning("Giving up the startup.")
        # Else uvicorn would take the cancellation for an application without a lifespan.
        self._lifespan.startup_failed = True
        if self._task is not None:
            self._task.cancel()

    def _give_up_requests(self) -> None:
        """Let the requests in flight end, first as if their clients had gone.

        Cancelling their tasks, as uvicorn does (uvicorn/server.py:307), would leave the views
        running: from Django 5.0 to 6.0 its handler cancels a view when the client has gone, but not
        when it is cancelled itself (``ASGIHandler.handle``, django/core/handlers/asgi.py). What
        does not heed its client is cancelled all the same, and then waited for no more.
        """
        state = self._server.server_state
        if not (state.connections or state.tasks):
            return
        logger.warning("Giving up requests in flight: %d.", len(state.tasks))
        for connection in list(state.connections):
            connection.transport.abort()
        self._loop.call_later(GRACE / 2, self._cancel_requests)
        self._loop.call_later(GRACE, state.tasks.clear)

    def _cancel_requests(self) -> None:
        for task in self._server.server_state.tasks:
            task.cancel()
