"""The stop of a worker of hypercorn's, and the exit code of its process.

The private parts of hypercorn that this relies on stand in ``tests/seams.py``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Collection
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Any

from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from django_asgi_lifespan.adapters import (
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    AdaptedLifespan,
    Call,
    Deadlines,
    Stop,
    calls,
    exit_despite_threads,
    handle_os_signals,
    hold,
    stop_signals,
    watch_supervisor,
)

__all__ = ("SERVE", "Worker", "end_at_once")

logger = logging.getLogger("hypercorn.error")  # the one that hypercorn's log configuration shows

SERVE = ("hypercorn.asyncio.run", "worker_serve")
"""The coroutine function that serves, from the startup to the shutdown of the application."""

CONNECTION = ("hypercorn.asyncio.run", "worker_serve.<locals>._server_callback")
"""The one that serves a connection."""

ACCEPT = ("asyncio.selector_events", "BaseSelectorEventLoop._accept_connection2")
"""The one with which asyncio prepares a connection. uvloop needs none."""

END = ("hypercorn.utils", "raise_shutdown")
"""The one that ends the serving, in two tasks: the stop and ``--max-requests``."""

RECEIVE = ("hypercorn.asyncio.lifespan", "Lifespan.asgi_receive")
"""The one with which the application waits for the next message of its lifespan."""


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End a process that has nothing to close yet, so that hypercorn starts another one."""
    os._exit(0)


class Worker:
    """A process of hypercorn's that serves: be inside while its lifespan runs.

    It stops at OS signals, when hypercorn stops, and when its supervisor has ended. A stopped
    worker ends with exit code 0, for which hypercorn starts another one, unless it stops
    altogether.

    Args:
        serving: hypercorn's call of ``worker_serve``.
        lifespan: the project's.
        spawned: whether a parent of hypercorn's has started this process.
    """

    def __init__(self, serving: Call, lifespan: AdaptedLifespan, *, spawned: bool) -> None:
        self._serving = serving.task
        self._trigger = serving.variables["shutdown_trigger"]
        self._lifespan = serving.variables["lifespan"]
        self._lifespan_task: asyncio.Task[None] = serving.variables["lifespan_task"]
        self._server_tasks: set[asyncio.Task[Any]] = set()
        self._ends: Collection[object] = ()
        self._is_starting = True
        self._spawned = spawned
        self._stop = Stop(
            self,
            Deadlines(self._lifespan.config.graceful_timeout),
            option="--graceful-timeout",
            logger=logger,
            lifespan=lifespan,
        )
        self._os_signals = ExitStack()  # not given back, because the process ends

    def __enter__(self) -> None:
        self._os_signals.enter_context(handle_os_signals(self._numbers(), self._stop.receive))
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._stop.run(), name="stop of hypercorn"),
            loop.create_task(self._watch(), name="watch of hypercorn"),
        ]
        self._held = ExitStack()
        self._held.enter_context(hold(self._lifespan))
        self._held.callback(watch_supervisor(logger, self._stop.request))
        self._lifespan_task.add_done_callback(self._lifespan_ended)
        self._serving.add_done_callback(self._serving_ended)

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End a startup that has failed, where an application in front does not pass that on.

        hypercorn's ``DispatcherMiddleware`` waits for the shutdown then.
        """
        if not self._lifespan.startup.is_set() and self._lifespan_task in [
            task for task, variables in calls(*RECEIVE) if variables["self"] is self._lifespan
        ]:
            self._lifespan_task.cancel()

    def is_starting(self) -> bool:
        return self._is_starting

    def interrupt_startup(self) -> None:
        if not self._lifespan.startup.is_set():  # else it serves a few turns of the loop later
            self._lifespan_task.cancel()

    def stop_listening(self) -> None:
        for task in self._end_tasks():
            task.cancel()

    def requests(self) -> list[asyncio.Task[Any]]:
        return [call.task for call in self._connections()]

    def disconnect(self) -> None:
        for call in self._connections():
            call.variables["writer"].transport.abort()

    def abandon(self) -> None:
        self._lifespan_task.cancel()

    def _numbers(self) -> list[signal.Signals]:
        """Return the OS signals to handle: in a worker, those that the project does not handle.

        hypercorn's parent lets its workers ignore SIGINT (hypercorn/run.py:74). In one process,
        hypercorn's own handlers are called, too.
        """
        numbers = stop_signals()
        if not self._spawned:
            return numbers
        unhandled = {signal.SIG_DFL, signal.SIG_IGN, end_at_once}
        return [number for number in numbers if signal.getsignal(number) in unhandled]

    async def _watch(self) -> None:
        """Begin the stop when hypercorn does, and let hypercorn wait for every connection."""
        told = asyncio.create_task(self._wait_for_trigger())
        try:
            await self._lifespan.startup.wait()
            while not (ends := self._end_tasks()):  # noqa: ASYNC110 - hypercorn has no event for it
                await asyncio.sleep(0)
        finally:
            told.cancel()
        self._is_starting = False
        [serving] = [call for call in calls(*SERVE) if call.task is self._serving]
        self._server_tasks = serving.variables["server_tasks"]
        idle = asyncio.create_task(self._wait_until_idle(serving.variables["context"].terminated))
        self._server_tasks.add(idle)
        idle.add_done_callback(self._server_tasks.discard)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._stop.request()

    async def _wait_for_trigger(self) -> None:
        await self._trigger()
        self._stop.request()

    async def _wait_until_idle(self, terminated: Any) -> None:
        """Return when hypercorn has stopped and no connection is left.

        hypercorn itself waits only for connections whose task has begun before it stops
        (hypercorn/asyncio/run.py:169).
        """
        await terminated.wait()
        while tasks := [*(call.task for call in calls(*ACCEPT)), *self.requests()]:
            await asyncio.wait(tasks)

    def _end_tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that end the serving of this server, as soon as it serves."""
        for serving in calls(*SERVE):
            if serving.task is self._serving and "context" in serving.variables:
                ends = (self._trigger, serving.variables["context"].terminate.wait)
                return [
                    task for task, variables in calls(*END) if variables["shutdown_event"] in ends
                ]
        return []

    def _connections(self) -> list[Call]:
        return [
            call
            for call in calls(*CONNECTION)
            if call.variables["server_tasks"] is self._server_tasks
        ]

    def _lifespan_ended(self, task: asyncio.Task[None]) -> None:
        """Let the process end, although threads may be left."""
        for each in self._tasks:
            each.cancel()
        self._held.close()
        failed = self._is_starting and not self._stop.has_begun
        exit_despite_threads(logger, code=STARTUP_FAILURE if failed else SHUTDOWN_FAILURE)

    def _serving_ended(self, task: asyncio.Task[None]) -> None:
        """End the process with the exit code, where hypercorn would end it with a traceback.

        Raises:
            SystemExit: always where a phase of the lifespan failed, or was interrupted.
        """
        error = None if task.cancelled() else task.exception()
        if error is None:
            if not task.cancelled():
                return
            code = 0
        elif isinstance(error, LifespanFailureError | LifespanTimeoutError):
            logger.error("%s", error)
            code = SHUTDOWN_FAILURE
        else:
            return
        if self._is_starting:
            code = 0 if self._stop.has_begun else STARTUP_FAILURE
        raise SystemExit(code)
