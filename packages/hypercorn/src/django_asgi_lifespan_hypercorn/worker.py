"""An orderly stop of a worker of hypercorn's: everything closes, whoever stops it.

What is read and called of hypercorn without its documentation, in hypercorn 0.18.0, and compared
with the installed release in ``tests/seams.py``:

- ``worker_serve`` (asyncio/run.py:54) serves until one of its tasks that run ``raise_shutdown``
  (utils.py:152) has ended; a task group has them, so that both may be cancelled. A connection is a
  task of its ``_server_callback`` (asyncio/run.py:105), which has a ``writer``.
- ``Lifespan`` (asyncio/lifespan.py:21) has ``config``, and two events: ``startup``, set when the
  application has started up, and ``shutdown``, set before a failed shutdown raises
  ``LifespanFailureError`` (utils.py:38).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
import threading
from types import CoroutineType, FrameType, TracebackType
from typing import Any

from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.utils import LifespanFailureError

from django_asgi_lifespan.process import (
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    end_process,
    watch_supervisor,
)
from django_asgi_lifespan.state import announce_stopping, close_websockets

__all__ = ("OrderlyStop",)

logger = logging.getLogger("hypercorn.error")  # the one that hypercorn's log configuration shows

SERVING = "raise_shutdown"
"""The name of the coroutine function of the tasks that last while hypercorn serves."""

CONNECTION = "worker_serve.<locals>._server_callback"
"""The name of the one of the tasks that have a connection each."""

CLEANUP = 0.5
"""Seconds before the end of the graceful timeout at which requests are given up.

Their views are cancelled then, and clean up while every resource still works.
"""

GRACE = 1.0
"""Seconds after the end of the graceful timeout for what ignores that it was given up."""

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
"""They kill a worker at once: hypercorn handles them in the parent alone (asyncio/run.py:65)."""


class OrderlyStop:
    """Be inside while the lifespan runs: the process stops at OS signals, and with its supervisor.

    A stopped worker ends with exit code 0, for which hypercorn starts another one, unless it stops
    altogether.
    """

    def __init__(self, server: Lifespan) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._handled: list[int] = []

    def __enter__(self) -> None:
        self._task = _current_task()
        for number in STOP_SIGNALS if threading.current_thread() is threading.main_thread() else ():
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._handle)
                self._handled.append(number)
        self._end_watch = watch_supervisor(logger, self._wanted.set)
        self._watch = self._loop.create_task(self._watch_server(), name="watch of the server")

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the process end, and nothing interrupt that.

        Raises:
            SystemExit: with the exit code, where hypercorn would let the failure of a phase, which
                is in the log already, end the process with a traceback.
        """
        self._watch.cancel()
        for number in self._handled:
            signal.signal(number, signal.SIG_IGN)
        self._end_watch()
        end_process(logger)
        if isinstance(exception, LifespanFailureError):
            logger.error("%s", exception)
            self._task.add_done_callback(_retrieve)
            raise SystemExit(
                SHUTDOWN_FAILURE if self._server.shutdown.is_set() else STARTUP_FAILURE
            ) from exception

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._wanted.set)

    async def _watch_server(self) -> None:
        """Find out that the server stops, or stop it."""
        await self._server.startup.wait()
        # A few turns of the loop later it serves, and it does so for one turn at least.
        while not (serving := _tasks(SERVING)):  # noqa: ASYNC110 - hypercorn has no event for it
            await asyncio.sleep(0)
        wanted = self._loop.create_task(self._wanted.wait())
        await asyncio.wait({wanted, *serving}, return_when=asyncio.FIRST_COMPLETED)
        wanted.cancel()
        for task in serving:
            task.cancel()
        announce_stopping()
        limit = self._server.config.graceful_timeout
        self._loop.call_later(limit - min(CLEANUP, limit / 4), self._give_up)
        self._loop.call_later(limit + GRACE, self._shut_down)
        await close_websockets()

    def _give_up(self) -> None:
        """Let the requests in flight end as if their clients had gone.

        Cancelling their tasks, as hypercorn does at the end of the graceful timeout, would leave
        the views running: from Django 5.0 to 6.0 its handler cancels a view when the client has
        gone, but not when it is cancelled itself (``ASGIHandler.handle``,
        django/core/handlers/asgi.py). And from Python 3.12 on hypercorn waits for connections
        without a limit (asyncio/run.py:166).
        """
        if connections := _tasks(CONNECTION):
            logger.warning("Giving up connections with requests in flight: %d.", len(connections))
        for task in connections:
            coroutine = task.get_coro()
            assert isinstance(coroutine, CoroutineType)
            inspect.getcoroutinelocals(coroutine)["writer"].transport.abort()

    def _shut_down(self) -> None:
        """Begin the shutdown if hypercorn waits for what cannot be cancelled, such as a thread."""
        if _tasks(CONNECTION):
            self._task.cancel()


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _tasks(name: str) -> list[asyncio.Task[Any]]:
    """Return the unfinished tasks of this event loop that run the coroutine function *name*."""
    return [
        task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == name
    ]


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Keep asyncio from reporting what ends the process in any case."""
    task.exception()
