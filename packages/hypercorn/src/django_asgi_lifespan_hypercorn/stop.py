"""The stop of a worker of hypercorn's, by the private parts that ``tests/seams.py`` lists."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from contextlib import ExitStack
from types import FrameType
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
    log,
    log_failure,
    stop_signals,
)

__all__ = ("SERVE", "Worker", "prepare")

logger = logging.getLogger("hypercorn.error")  # the one that hypercorn's log configuration shows

SERVE = ("hypercorn.asyncio.run", "worker_serve")
CONNECTION = ("hypercorn.asyncio.run", "worker_serve.<locals>._server_callback")
ACCEPT = ("asyncio.selector_events", "BaseSelectorEventLoop._accept_connection2")
RECEIVE = ("hypercorn.asyncio.lifespan", "Lifespan.asgi_receive")


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End a process that has nothing to close yet, so that hypercorn starts another one."""
    os._exit(0)


_drain_delays: list[Any] = []
"""A value that this worker shares with the twin's parent, which has to delay as well."""


def prepare(drain_delay: Any) -> None:
    """Prepare a worker of the twin, before it imports anything for its work.

    Args:
        drain_delay: a shared value, for the seconds of the settings when the worker is ready.
    """
    signal.signal(signal.SIGTERM, end_at_once)
    _drain_delays.append(drain_delay)


class Worker:
    """A process of hypercorn's that serves. Be inside while the lifespan of the project runs.

    It stops at OS signals, when hypercorn stops, and when its supervisor has ended. Its exit code
    is 0 then, so that hypercorn starts another one unless it stops altogether.
    """

    def __init__(self, serving: Call, lifespan: AdaptedLifespan) -> None:
        self._project = lifespan
        self._serving = serving.task
        self._lifespan = serving.variables["lifespan"]
        self._lifespan_task: asyncio.Task[None] = serving.variables["lifespan_task"]
        self._is_told = serving.variables["shutdown_trigger"]
        self._context: Any = None  # hypercorn's, as soon as the application has started up
        deadlines = Deadlines(self._lifespan.config.graceful_timeout)
        self._stop = Stop(
            self,
            deadlines,
            option="--graceful-timeout",
            logger=logger,
            lifespan=lifespan,
            delays=bool(_drain_delays) and not self._lifespan.config.use_reloader,
        )
        if lifespan.drain_delay and not _drain_delays:
            log(
                logger,
                logging.WARNING,
                "DRAIN_DELAY has no effect: hypercorn stops its workers at once. Run "
                "hypercorn-lifespan, with one worker or more. [lifespan-no-delay]",
            )
        self._rest = ExitStack()

    def __enter__(self) -> None:
        free = (signal.SIG_DFL, signal.SIG_IGN, end_at_once)
        for number in stop_signals():  # not given back, because the process ends
            # In a worker, hypercorn has none, so that others are the project's own, and stay.
            if not multiprocessing.parent_process() or signal.getsignal(number) in free:
                signal.signal(number, self._stop.receive)
        self._idle = asyncio.create_task(self._watch_serving())
        watches = self._watch_trigger(), self._idle
        self._rest.enter_context(self._stop.beside(self._lifespan, *watches))
        self._lifespan_task.add_done_callback(self._lifespan_ended)
        self._serving.add_done_callback(self._serving_ended)

    def __exit__(self, *exception: object) -> None:
        """End a failed startup also where ``DispatcherMiddleware`` waits for the shutdown."""
        if any(call.task is self._lifespan_task for call in calls(*RECEIVE)):
            self.interrupt_startup()

    def is_starting(self) -> bool:
        return self._context is None

    def interrupt_startup(self) -> None:
        if not self._lifespan.startup.is_set():
            self._lifespan_task.cancel()

    def stop_listening(self) -> None:
        asyncio.create_task(self._context.terminate.set())  # noqa: RUF006 - it ends at once

    def requests(self) -> list[asyncio.Task[Any]]:
        return [connection.task for connection in self._connections()]

    def disconnect(self) -> None:
        for connection in self._connections():
            connection.variables["writer"].transport.abort()

    def abandon(self) -> None:
        self._lifespan_task.cancel()

    def _connections(self) -> list[Call]:
        """Return those of this server. The program may run another one in this event loop."""
        return [each for each in calls(*CONNECTION) if each.variables["context"] is self._context]

    async def _watch_trigger(self) -> None:
        await self._is_told()
        self._stop.request()

    async def _watch_serving(self) -> None:
        """Begin the stop when hypercorn stops by itself, and let it wait for every connection.

        It knows only the connections whose tasks have begun (hypercorn/asyncio/run.py:169).
        """
        await self._lifespan.startup.wait()
        while self._context is None:
            await asyncio.sleep(0)
            for _, variables in [call for call in calls(*SERVE) if call.task is self._serving]:
                self._context = variables.get("context")
                variables.get("server_tasks", set()).add(self._idle)
        for drain_delay in [] if self._lifespan.config.use_reloader else _drain_delays:
            drain_delay.value = self._project.drain_delay
        await self._context.terminated.wait()
        self._stop.request()
        while tasks := [*(call.task for call in calls(*ACCEPT)), *self.requests()]:
            await asyncio.wait(tasks)

    def _lifespan_ended(self, task: asyncio.Task[None]) -> None:
        """Let the process end, although threads may be left."""
        self._rest.close()
        failed = self.is_starting() and not self._stop.has_begun
        exit_despite_threads(logger, code=STARTUP_FAILURE if failed else SHUTDOWN_FAILURE)

    def _serving_ended(self, task: asyncio.Task[None]) -> None:
        """End the process with the exit code, where hypercorn would end it with a traceback.

        Raises:
            SystemExit: a phase of the lifespan failed, or was interrupted.
        """
        error = None if task.cancelled() else task.exception()
        is_failed = isinstance(error, LifespanFailureError | LifespanTimeoutError)
        is_failed |= self._project.shutdown_failed
        if is_failed or task.cancelled():
            code = SHUTDOWN_FAILURE if is_failed else 0
            if self.is_starting():
                code = 0 if self._stop.has_begun else STARTUP_FAILURE
            if error and code:
                log_failure(logger, "%s", error)
            raise SystemExit(code)
