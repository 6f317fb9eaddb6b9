"""Starts everything in order, stops everything in order, and answers cancellations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from types import TracebackType
from typing import Any

from django_asgi_lifespan.errors import ShutdownFailedError, StartupFailedError
from django_asgi_lifespan.lifespans import Lifespan

from . import graph
from .phase_limits import PhaseLimits
from .progress import Progress
from .report import Report
from .states import ENDED, State, Supervised
from .task import ResourceTask

__all__ = ("Supervisor",)


class Supervisor:
    """Starts resources on entry, stops them on exit: an async context manager to be used once.

    Nothing is left open by an entry that fails. Every resource whose opening was begun is closed
    once, after those that require it, no matter how the others end and however often the task is
    cancelled meanwhile.

    Args:
        lifespan: gets the values of the running resources.
        resources: each resource with those that it requires.
        request_threads: they start before all the resources and stop after them.
        application: starts after all the resources and stops before them.
        receivers: they start last and stop first.
        startup_timeout, shutdown_timeout: seconds for each whole phase, or None for no limit.
        startup_warning: seconds after which the log names what the startup waits for, or None.
        level: the logging level of the lines that tell the course of things.

    Raises:
        ResourceDeclarationError: the requirements form a circle.
    """

    def __init__(
        self,
        lifespan: Lifespan,
        resources: Mapping[Any, Sequence[Any]],
        *,
        request_threads: Supervised | None = None,
        application: Supervised | None = None,
        receivers: Supervised | None = None,
        startup_timeout: float | None = None,
        startup_warning: float | None = None,
        shutdown_timeout: float | None = None,
        level: int = logging.INFO,
    ) -> None:
        self._cancellation: asyncio.CancelledError | None = None
        self._report = Report(level, len(resources), lifespan.loop.time)
        self._progress = progress = Progress(lifespan, self._report, shutdown_timeout)
        tasks = {resource: ResourceTask(progress, resource) for resource in resources}
        graph.connect(tasks, resources, name=attrgetter("name"))
        self._stages = [list(tasks.values())]
        if request_threads is not None:
            self._stages.insert(0, [ResourceTask(progress, request_threads, level=logging.DEBUG)])
        for later in filter(None, (application, receivers)):
            task = ResourceTask(progress, later, may_get=resources, level=logging.DEBUG)
            self._stages.append([task])
        self._tasks = [task for stage in self._stages for task in stage]
        self._limits = PhaseLimits(
            progress,
            self._tasks,
            startup=startup_timeout,
            startup_warning=startup_warning,
            shutdown=shutdown_timeout,
        )

    async def __aenter__(self) -> None:
        """Return when everything is open.

        Raises:
            StartupFailedError: something did not start. All that had started is stopped.
            asyncio.CancelledError: the task was cancelled. All that had started is stopped.
        """
        progress = self._progress
        since = progress.loop.time()
        self._report.phase_begins("startup")
        self._limits.begin_startup()
        for stage in self._stages:
            await self._start_stage(stage)
        progress.limits.end_phase()
        if progress.is_ending:
            await self._stop()
            if self._cancellation is not None:
                raise self._cancellation
            raise StartupFailedError(self._report.summary()) from self._report.error
        progress.is_starting = False
        self._report.phase_complete("startup", since)

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Return when everything is closed or abandoned. *exception* goes on its way.

        Raises:
            ShutdownFailedError: names the resources that did not stop as they should.
            asyncio.CancelledError: the task was cancelled meanwhile.
        """
        if isinstance(exception, GeneratorExit):  # the loop is gone: nothing can run any more
            return
        since = self._progress.loop.time()
        if isinstance(exception, asyncio.CancelledError):
            self._cancelled(exception)
        self._report.phase_begins("shutdown")
        self._report.failures.clear()  # of resources that died meanwhile, and are in the log
        await self._stop()
        self._report.phase_complete("shutdown", since)
        if self._cancellation is not None and self._cancellation is not exception:
            raise self._cancellation
        if self._report.failures and exception is None:
            raise ShutdownFailedError(self._report.summary())

    async def _start_stage(self, tasks: Sequence[ResourceTask]) -> None:
        """Start *tasks*, each when all that it requires are open. Return when all are.

        Return early when one does not open.
        """
        left = len(tasks)
        ready: list[ResourceTask] = [task for task in tasks if not task.unopened_requirements]
        while left and not self._progress.is_ending:
            self._progress.begin(ready)
            if not self._progress.is_eager:
                self._progress.loop.call_soon(_check_begun, ready)
            ready = []
            for task in await self._changes():
                if task.state is State.OPEN:
                    left -= 1
                    if task.dependants:
                        ready += graph.opened(task)
                else:
                    self._progress.is_ending = True

    async def _stop(self) -> None:
        """Stop all that was begun, dependants before their requirements."""
        self._progress.is_ending = True
        for task in reversed(self._tasks):
            if task.state is State.OPENING and not task.cancelled:
                task.cancel_opening()
        self._limits.begin_shutdown()
        for stage in reversed(self._stages):
            await self._stop_stage(stage)
        self._progress.limits.end_phase()

    async def _stop_stage(self, tasks: Sequence[ResourceTask]) -> None:
        """Stop *tasks*, each when all that require it have ended. Return when all have.

        A resource that died stays between its dependants and its own requirements.
        """
        begun = [task for task in reversed(tasks) if task.state is not State.WAITING]
        ready: list[ResourceTask] = graph.ready_to_close(begun)
        left = len(begun)
        asked: set[ResourceTask] = set()
        while left:
            for task in ready:
                task.close()
            asked.update(ready)
            ready = []
            for task in await self._changes():
                if task.state in ENDED and task in asked:
                    asked.remove(task)
                    left -= 1
                    if task.requires:
                        ready += graph.closed(task)

    async def _changes(self) -> Sequence[ResourceTask]:
        """Return the tasks that changed, or none where the lifespan's own task was cancelled."""
        try:
            return await self._progress.changes()
        except asyncio.CancelledError as cancellation:
            self._cancelled(cancellation)
            return ()

    def _cancelled(self, cancellation: asyncio.CancelledError) -> None:
        """The task was cancelled: end, and be quick about it the second time."""
        progress = self._progress
        self._cancellation = cancellation
        progress.is_ending = True
        progress.cancellations += 1
        if progress.cancellations == 1 and progress.is_starting:
            opening = [task.name for task in self._tasks if task.state is State.OPENING]
            self._report.startup_interrupted(opening)
        elif progress.cancellations == 2:
            self._limits.hurry()


def _check_begun(tasks: Iterable[ResourceTask]) -> None:
    for task in tasks:
        task.check_begun()
