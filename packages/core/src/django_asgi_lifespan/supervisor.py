"""Runs resources: in dependency order, one task each, with time limits, rollback and teardown."""

from __future__ import annotations

import asyncio
import enum
import functools
import graphlib
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol

from .errors import (
    ReceiverError,
    ResourceDeclarationError,
    ShutdownFailedError,
    StartupFailedError,
    describe,
)
from .state import Lifespan, View, current_view
from .threads import InThread, uncancel

__all__ = ("GRACE", "Supervised", "Supervisor")

logger = logging.getLogger("django_asgi_lifespan")

GRACE = 1.0
"""Seconds that what was cancelled at a time limit still gets before it is abandoned.

A second cancellation of the lifespan leaves as much for the rest, which is cancelled at its half.
"""

_TURNS = 3
"""Loop turns in which the lifespan's task gets to know of a cancellation of the whole loop.

One is enough where it waits for a future, three where ``receive`` uses ``asyncio.wait_for``, which
has a task of its own on Python 3.10 and 3.11.
"""


class Supervised(Protocol):
    """What the supervisor needs to know of a resource."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def startup_timeout(self) -> float | None:
        """Seconds that opening may take."""
        ...

    @property
    def shutdown_timeout(self) -> float | None:
        """Seconds that closing may take."""
        ...

    def open(self) -> AbstractAsyncContextManager[Any, bool | None]:
        """Return a new context manager that opens it and closes it."""
        ...


class Supervisor:
    """Starts resources on entry, stops them on exit: an async context manager to be used once.

    Nothing is left open by an entry that fails. Every resource whose opening was begun is closed
    once, after those that require it, whatever the others do and however often the task is
    cancelled meanwhile.

    Args:
        lifespan: gets the values of the running resources.
        resources: each resource with those that it requires.
        last: starts after all the resources and stops before them.
        startup_timeout, shutdown_timeout: seconds for each phase as a whole; None sets no limit.
        level: the logging level of the lines that tell the course of things.

    Raises:
        ResourceDeclarationError: the requirements form a circle.
    """

    def __init__(
        self,
        lifespan: Lifespan,
        resources: Mapping[Any, Sequence[Any]],
        *,
        last: Supervised | None = None,
        startup_timeout: float | None = None,
        shutdown_timeout: float | None = None,
        level: int = logging.INFO,
    ) -> None:
        self.lifespan = lifespan
        self.starting = True
        self.ending = False
        self.cancelled = False
        self.shutdown_timeout = shutdown_timeout
        self.failures: list[str] = []
        self._startup_timeout = startup_timeout
        self._level = level
        self._posted: list[_Run] = []
        self._waiter: asyncio.Future[None] | None = None
        self._cancellation: asyncio.CancelledError | None = None
        self._cancellations = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._count = "1 resource" if len(resources) == 1 else f"{len(resources)} resources"
        self._runs = self._plan(resources, last)
        self._order = self._prepare()

    async def __aenter__(self) -> None:
        """Return when everything runs.

        Raises:
            StartupFailedError: something did not start; what had started is stopped again.
            asyncio.CancelledError: the task was cancelled; what had started is stopped again.
        """
        since = self.lifespan.loop.time()
        order = self._order
        self._log("Lifespan startup: %s", self._count)
        if self._startup_timeout is not None:
            self._after(self._startup_timeout, self._startup_limit)
        while order.is_active() and not self.ending:
            for run in order.get_ready():
                run.begin()
            for run in await self._news():
                if run.step is _Step.RUNNING:
                    order.done(run)
                else:
                    self.ending = True
        self._disarm()
        if self.ending:
            await self._stop()
            if self._cancellation is not None:
                raise self._cancellation
            raise StartupFailedError("; ".join(self.failures))
        self.starting = False
        self._log("Lifespan startup complete in %.0f ms", self._milliseconds(since))

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Return when everything is stopped or abandoned; *exception* goes on its way.

        Raises:
            ShutdownFailedError: names what did not stop as it should.
            asyncio.CancelledError: the task was cancelled meanwhile.
        """
        if isinstance(exception, GeneratorExit):  # the loop is gone: nothing can run any more
            return
        since = self.lifespan.loop.time()
        if isinstance(exception, asyncio.CancelledError):
            self._cancelled(exception)
        self._log("Lifespan shutdown: %s", self._count)
        await self._stop()
        self._log("Lifespan shutdown complete in %.0f ms", self._milliseconds(since))
        if self._cancellation is not None and self._cancellation is not exception:
            raise self._cancellation
        if self.failures and exception is None:
            raise ShutdownFailedError("; ".join(self.failures))

    def post(self, run: _Run) -> None:
        """Take note that *run* started, ended, was abandoned or met its time limit."""
        self._posted.append(run)
        self._wake()

    def _plan(self, resources: Mapping[Any, Sequence[Any]], last: Supervised | None) -> list[_Run]:
        runs = {resource: _Run(self, resource, self._level) for resource in resources}
        for resource, requires in resources.items():
            runs[resource].require([runs[required] for required in requires])
        plan = list(runs.values())
        if last is not None:
            run = _Run(self, last, logging.DEBUG)
            run.require(plan)
            plan = [*plan, run]
        return plan

    def _prepare(self) -> graphlib.TopologicalSorter[_Run]:
        order = graphlib.TopologicalSorter({run: run.requires for run in self._runs})
        try:
            order.prepare()
        except graphlib.CycleError as error:
            # Each of the list is required by the next.
            circle = " requires ".join(run.resource.name for run in reversed(error.args[1]))
            raise ResourceDeclarationError(
                f"The resources require each other in a circle: {circle}. Remove one of these "
                f"requirements, or move what both need into a resource of its own."
            ) from None
        return order

    async def _stop(self) -> None:
        """Stop whatever was begun, dependants before what they require."""
        self.ending = True
        if not self.starting:
            self.failures.clear()
        # What died stays between those that require it and what it required itself.
        begun = dict.fromkeys(run for run in reversed(self._runs) if run.step is not _Step.WAITING)
        order = graphlib.TopologicalSorter(
            {run: [other for other in run.dependants if other in begun] for run in begun}
        )
        order.prepare()
        for run in begun:
            if run.step is _Step.ENTERING and not run.cancelled:
                run.cancel(unless_cancelled=self.cancelled)
        if self.shutdown_timeout is not None:
            self._after(self.shutdown_timeout, self._shutdown_limit)
        asked: set[_Run] = set()
        while order.is_active():
            for run in order.get_ready():
                asked.add(run)
                run.stop()
            for run in await self._news():
                if run.step is _Step.OVER and run in asked:
                    asked.remove(run)
                    order.done(run)
        self._disarm()

    async def _news(self) -> list[_Run]:
        """Return the runs posted since the last call; none when something else happened."""
        if not self._posted:
            self._waiter = self.lifespan.loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as cancellation:
                self._cancelled(cancellation)
        posted, self._posted = self._posted, []
        return posted

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _cancelled(self, cancellation: asyncio.CancelledError) -> None:
        """The task was cancelled: end, and be quick about it the second time."""
        self.ending = True
        self.cancelled = True
        self._cancellation = cancellation
        self._cancellations += 1
        if self._cancellations == 2:
            self._after(GRACE / 2, self._cancel_busy)
            self._after(GRACE, self._cut)

    def _startup_limit(self) -> None:
        late = [run for run in self._runs if run.step is _Step.ENTERING]
        self._fail(
            f"the startup did not complete within {self._startup_timeout:g} s "
            f"(STARTUP_TIMEOUT), waiting for: {_names(late)}"
        )
        for run in late:
            run.cancel_and_abandon()
        self.ending = True
        self._wake()

    def _shutdown_limit(self) -> None:
        late = self._busy()
        self._fail(
            f"the shutdown did not complete within {self.shutdown_timeout:g} s "
            f"(SHUTDOWN_TIMEOUT), waiting for: {_names(late)}"
        )
        for run in late:
            run.cancel_and_abandon()
        # Those that waited for the late ones still get their turn, and as much time.
        self._after(2 * GRACE, self._cut)

    def _busy(self) -> list[_Run]:
        return [run for run in self._runs if run.step in (_Step.ENTERING, _Step.EXITING)]

    def _cancel_busy(self) -> None:
        for run in self._busy():
            if not run.cancelled:
                run.cancel()

    def _cut(self) -> None:
        """Wait for nothing any more."""
        self._cancel_busy()
        for run in self._runs:
            if run.step not in (_Step.WAITING, _Step.OVER):
                run.abandon("was left no time to close")

    def _fail(self, failure: str) -> None:
        self.failures.append(failure)
        logger.error("%s%s", failure[0].upper(), failure[1:])

    def _after(self, seconds: float, function: Any) -> None:
        self._timers.append(self.lifespan.loop.call_later(seconds, function))

    def _disarm(self) -> None:
        while self._timers:
            self._timers.pop().cancel()

    def _milliseconds(self, since: float) -> float:
        return (self.lifespan.loop.time() - since) * 1000

    def _log(self, message: str, value: float | str) -> None:
        logger.log(self._level, message, value)


class _Step(enum.Enum):
    WAITING = "waiting for what it requires"
    ENTERING = "opening"
    RUNNING = "running"
    EXITING = "closing"
    OVER = "ended or abandoned"


class _Run:
    """One resource in one lifespan, and the task in which it is both opened and closed."""

    def __init__(self, supervisor: Supervisor, resource: Supervised, level: int) -> None:
        self.resource = resource
        self.requires: Sequence[_Run] = ()
        self.dependants: list[_Run] = []
        self.step = _Step.WAITING
        self.cancelled = False
        self._supervisor = supervisor
        self._lifespan = supervisor.lifespan
        self._loop = supervisor.lifespan.loop
        self._level = level
        self._since = 0.0
        self._timeout = 0.0
        self._has_grace = False
        self._stopping = False
        self._abandoned = False
        self._died = False
        self._troubles: list[str] = []
        self._error: BaseException | None = None
        self._view = View(self._lifespan, resource, ())
        self._thread: InThread | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None]

    def require(self, runs: Sequence[_Run]) -> None:
        self.requires = runs
        self._view.requires = [run._view for run in runs]
        for run in runs:
            run.dependants.append(self)

    def begin(self) -> None:
        """Start the task that opens the resource."""
        self._enter_step(_Step.ENTERING, self.resource.startup_timeout)
        self._task = self._loop.create_task(self._live(), name=f"lifespan: {self.resource.name}")
        self._task.add_done_callback(self._finished)

    def stop(self) -> None:
        """Let the resource close; posted when it has."""
        if self.step is _Step.OVER:
            self._supervisor.post(self)
        self._stopping = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def cancel(self, *, unless_cancelled: bool = False) -> None:
        """Cancel the code that opens or closes it. If it opens all the same, it closes at once.

        A cancellation of the whole loop has reached that code already; Python 3.10 cannot tell.
        """
        self.cancelled = True
        self._stopping = True
        if sys.version_info >= (3, 11) and unless_cancelled and self._task.cancelling():
            return
        self._task.cancel()

    def cancel_and_abandon(self) -> None:
        """Cancel it, and wait for it no longer than the grace, which begins but once."""
        if self._has_grace:
            return
        self._has_grace = True
        self.cancel()
        self._arm(GRACE, functools.partial(self.abandon, "ignored its cancellation"))

    def abandon(self, why: str) -> None:
        """Wait for it no more, and let it close by itself if it ever gets there."""
        self._disarm()
        self._troubles.append(f"{why} and was abandoned")
        self._report()
        self._abandoned = True
        if self._thread is not None:  # its task waits for a thread, and would wait for ever
            self._thread.abandon()
        self.step = _Step.OVER
        self._lifespan.values.pop(self.resource, None)
        self.stop()

    async def _live(self) -> None:
        """Open the resource, wait, close it. Nothing that it raises leaves here."""
        current_view.set(self._view)
        try:
            manager = self.resource.open()
            if isinstance(manager, InThread):
                self._thread = manager
            async with manager as value:
                self._opened(value)
                try:
                    await self._until_stopped()
                except asyncio.CancelledError as death:
                    self._dies(death)
                    raise
                self._closes()
        except GeneratorExit:  # the loop is gone: nothing can run any more
            raise
        except BaseException as error:
            self._error = error

    async def _until_stopped(self) -> None:
        """Return when the resource has to close; raise CancelledError when it died.

        A cancellation that reaches it here while the lifespan is ending comes from the loop,
        which cancels all of its tasks at once, and must not upset the order: one is swallowed.
        Any other comes from inside the resource, a task group for example.
        """
        swallowed = False
        while not self._stopping:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                if swallowed:
                    raise
                try:
                    if not await self._is_ending():
                        raise
                except asyncio.CancelledError:
                    if self._supervisor.ending:  # the first one was the loop's all the same
                        uncancel()
                    raise
                swallowed = True
                uncancel()

    async def _is_ending(self) -> bool:
        for _ in range(_TURNS):
            if self._supervisor.ending:
                break
            await asyncio.sleep(0)
        return self._supervisor.ending

    def _opened(self, value: object) -> None:
        if self._stopping:  # too late: it was cancelled, and closes at once
            return
        self._lifespan.values[self.resource] = value
        logger.log(self._level, "%s started in %.0f ms", self.resource.name, self._milliseconds())
        self._enter_step(_Step.RUNNING, None)
        self._supervisor.post(self)

    def _dies(self, death: asyncio.CancelledError) -> None:
        self._died = True
        self._error = death
        self._lifespan.died[self.resource] = describe(death)
        if not self._supervisor.cancelled:  # else it is the loop that cancels, once more
            self._troubles.append("died while it was running")
        self._closes()
        self._supervisor.post(self)

    def _closes(self) -> None:
        if self._abandoned:
            return
        self._lifespan.values.pop(self.resource, None)
        timeout = self.resource.shutdown_timeout
        if self._died and timeout is None:  # why it died is known when it has closed
            timeout = self._supervisor.shutdown_timeout
        self._enter_step(_Step.EXITING, timeout)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step
            self._error = asyncio.CancelledError()
        elif task.exception() is not None:  # a GeneratorExit of the resource's own
            self._error = task.exception()
        if self._abandoned:
            logger.debug("%s, which was abandoned, has ended", self.resource.name)
            return
        self._disarm()
        self._report()
        self.step = _Step.OVER
        self._supervisor.post(self)

    def _report(self) -> None:
        """Log how it ended, once, and note what the server has to be told."""
        name, error = self.resource.name, self._error
        is_opening = self.step is _Step.ENTERING
        is_meant = isinstance(error, asyncio.CancelledError) and (
            self.cancelled or self._died or (is_opening and self._supervisor.ending)
        )
        if self._died and error is not None:
            self._lifespan.died[self.resource] = describe(error)
        if self._troubles or not (error is None or is_meant):
            if isinstance(error, ReceiverError):  # says whose it is, and is in the log
                self._supervisor.failures.append(str(error))
                return
            what = ", ".join(self._troubles) or f"failed to {'start' if is_opening else 'stop'}"
            why = "" if error is None or is_meant else f": {describe(error)}"
            self._fail(f"{name} {what}{why}")
        elif error is None:
            logger.log(self._level, "%s stopped in %.0f ms", name, self._milliseconds())
        else:
            logger.log(self._level, "%s was cancelled after %.0f ms", name, self._milliseconds())

    def _fail(self, failure: str) -> None:
        self._supervisor.failures.append(failure)
        logger.error("%s", failure, exc_info=self._error)

    def _enter_step(self, step: _Step, timeout: float | None) -> None:
        self.step = step
        self._has_grace = False
        self._since = self._loop.time()
        self._disarm()
        if timeout is not None:
            self._timeout = timeout
            self._arm(timeout, self._limit)

    def _limit(self) -> None:
        doing = "start" if self.step is _Step.ENTERING else "stop"
        self._troubles.append(f"did not {doing} within {self._timeout:g} s")
        self.cancel_and_abandon()
        self._supervisor.post(self)

    def _arm(self, seconds: float, function: Any) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, function)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _milliseconds(self) -> float:
        return (self._loop.time() - self._since) * 1000


def _names(runs: Sequence[_Run]) -> str:
    return ", ".join(run.resource.name for run in runs) or "nothing"
