"""An orderly stop of a worker of granian's: it always stops, and closes what it opened.

What is read and called of granian without its documentation, in granian 2.8.7, and compared with
the installed release in ``tests/seams.py``:

- ``MPServer._spawn_asgi_lifespan_worker`` (server/mp.py:181) runs the lifespan and serves. Its
  variable ``shutdown_event`` is a ``WorkerSignal``, of which ``set()`` stops the worker; a call too
  many may block for ever. Until then, OS signals call it (_signals.py:22).
- A request is a task of ``_future_watcher_wrapper.<locals>.future_watcher`` (_futures.py:13).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import signal
import time
from types import FrameType, TracebackType
from typing import Any

from granian._granian import WorkerSignal

from django_asgi_lifespan.process import SAME_STOP, end_process, watch_supervisor
from django_asgi_lifespan.state import announce_stopping, close_websockets

__all__ = ("OrderlyStop", "find_shutdown_event")

logger = logging.getLogger("_granian")  # the one that granian's log configuration shows

WORKER = "_spawn_asgi_lifespan_worker"
"""The name of the function that is a worker."""

REQUEST = "_future_watcher_wrapper.<locals>.future_watcher"
"""The name of the coroutine function of the task that a request has."""

VIEW = "ASGIHandler.handle.<locals>.process_request"
"""The name of that of the task that a view has from Django 5.0 to 6.0.

With other releases of Django it runs in the task of the request.
"""

DRAIN_SHARE = 0.6
"""The part of ``--workers-kill-timeout`` that requests get; the lifespan gets the rest."""

CLEANUP = 0.5
"""Seconds that a cancelled view has to clean up while every resource still works."""


def find_shutdown_event() -> WorkerSignal | None:
    """Return what stops the worker that is the caller's caller; None elsewhere."""
    for each in inspect.stack(context=0):
        if each.function == WORKER:
            event = each.frame.f_locals.get("shutdown_event")
            return event if isinstance(event, WorkerSignal) else None
    return None


class OrderlyStop:
    """Be inside while the lifespan runs: the worker stops at SIGTERM, and with its supervisor.

    SIGINT is left to the supervisor, which sends the worker SIGTERM for it; a second one, or one
    that comes half a second into the stop or later, gives up requests in flight.

    Args:
        shutdown_event: what stops the worker.
        kill_timeout: seconds after which granian kills the worker; None if it does not.
    """

    def __init__(self, shutdown_event: WorkerSignal, *, kill_timeout: float | None) -> None:
        self._shutdown_event = shutdown_event
        self._kill_timeout = kill_timeout
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._interrupts = 0
        self._stop: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            # The loop only wakes up, which it would not for a signal that another thread gets.
            # It does not call the handler: uvloop loses signals that come while it does not run.
            self._loop.add_signal_handler(number, _wake_up)
            signal.signal(number, self._handle)
        self._end_watch = watch_supervisor(
            logger, functools.partial(signal.raise_signal, signal.SIGTERM)
        )

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the process end, and nothing interrupt that."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self._end_watch()
        end_process(logger)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == signal.SIGTERM:
            if self._since is None:
                self._since = now
                self._loop.call_soon_threadsafe(self._begin)
            return
        late = self._since is not None and now - self._since >= SAME_STOP
        self._interrupts += 2 if late else 1
        if self._since is not None and self._interrupts > 1:
            self._loop.call_soon_threadsafe(self._give_up)

    def _begin(self) -> None:
        self._stop = self._loop.create_task(self._stop_server(), name="stop of the server")

    async def _stop_server(self) -> None:
        """Tell those who wait for it, and WebSockets, which granian would cut off; then granian."""
        announce_stopping()
        await close_websockets()
        self._shutdown_event.set()
        if self._interrupts > 1:
            self._give_up()
        elif self._kill_timeout is not None:
            self._loop.call_later(self._kill_timeout * DRAIN_SHARE, self._give_up)

    def _give_up(self) -> None:
        """Cancel the requests in flight as Django does where a client has gone."""
        try:
            requests = _tasks(REQUEST)
        except RuntimeError:  # --task-impl rust, before Python 3.12: no task can be found
            logger.warning("Giving up requests in flight.")
            self._shut_down()
            return
        if requests:
            logger.warning("Giving up requests in flight: %d.", len(requests))
            for task in _tasks(VIEW):
                task.cancel()
            self._loop.call_later(CLEANUP, self._cancel_requests)

    def _cancel_requests(self) -> None:
        for task in _tasks(REQUEST):
            task.cancel()
        self._loop.call_later(CLEANUP, self._shut_down_if_held_up)

    def _shut_down_if_held_up(self) -> None:
        """Begin the shutdown if granian waits for what cannot be cancelled, such as a thread."""
        if _tasks(REQUEST):
            self._shut_down()

    def _shut_down(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _wake_up() -> None:
    """Let Python call the handler of an OS signal, which it does between any two steps."""


def _tasks(name: str) -> list[asyncio.Task[Any]]:
    """Return the unfinished tasks of this event loop that run the coroutine function *name*.

    Raises:
        RuntimeError: there is a task of granian's that asyncio cannot list (_futures.py:24).
    """
    return [
        task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == name
    ]
