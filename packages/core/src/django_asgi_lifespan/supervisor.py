"""Runs resources: in dependency order, one task each, with time limits, rollback and teardown."""

from __future__ import annotations

import asyncio
import enum
import functools
import graphlib
import logging
import sys
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol

from .errors import (
    ReceiverError,
    ResourceDeclarationError,
    ShutdownFailedError,
    StartupFailedError,
    describe,
)
from .state import Lifespan, current_view
from .threads import uncancel

__all__ = ("GRACE", "Supervised", "Supervisor")

logger = logging.getLogger("django_asgi_lifespan")

GRACE = 1.0
"""Seconds that what was cancelled at a time limit still gets before it is abandoned.

A second cancellation of the lifespan leaves as much for the rest, which is cancelled at its half.
"""

_SHOWN = 10
"""How many failures, or names, stand in a message, which servers print as one line."""

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

    def open(self) -> AsyncGenerator[Any]:
        """Return a new generator that opens it, yields once, and closes it."""
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
        # Tasks that begin at once cost half as much, where no factory of others makes them.
        self._is_eager = False
        self.create_task: Callable[..., asyncio.Task[Any]] = lifespan.loop.create_task
        if sys.version_info >= (3, 12) and lifespan.loop.get_task_factory() is None:
            self._is_eager = True
            self.create_task = functools.partial(asyncio.Task, loop=lifespan.loop, eager_start=True)
        self._posted: list[_Run] = []
        self._waiter: asyncio.Future[None] | None = None
        self._cancellation: asyncio.CancelledError | None = None
        self._cancellations = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._count = "1 resource" if len(resources) == 1 else f"{len(resources)} resources"
        self._stages = [self._plan(resources)]
        if last is not None:
            run = _Run(self, last, logging.DEBUG, reachable=resources.keys())
            self._stages.append([run])
        self._runs = [run for stage in self._stages for run in stage]

    async def __aenter__(self) -> None:
        """Return when everything runs.

        Raises:
            StartupFailedError: something did not start; what had started is stopped again.
            asyncio.CancelledError: the task was cancelled; what had started is stopped again.
        """
        since = self.lifespan.loop.time()
        self._log("Lifespan startup: %s", self._count)
        if self._startup_timeout is not None:
            self._after(self._startup_timeout, self._startup_limit)
        for stage in self._stages:
            await self._start_stage(stage)
        self._disarm()
        if self.ending:
            await self._stop()
            if self._cancellation is not None:
                raise self._cancellation
            raise StartupFailedError(_summary(self.failures))
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
            raise ShutdownFailedError(_summary(self.failures))

    def post(self, run: _Run) -> None:
        """Take note that *run* started, ended, was abandoned or met its time limit."""
        self._posted.append(run)
        if self._waiter is not None:
            self._wake()

    def _plan(self, resources: Mapping[Any, Sequence[Any]]) -> list[_Run]:
        runs = {resource: _Run(self, resource, self._level) for resource in resources}
        dependants: defaultdict[_Run, list[_Run]] = defaultdict(list)
        for resource, requires in resources.items():
            if requires:
                run = runs[resource]
                run.requires = [runs[required] for required in requires]
                run.missing = len(requires)
                for required in run.requires:
                    dependants[required].append(run)
        for run, those in dependants.items():
            run.dependants = those
        if dependants:
            _refuse_circles(runs.values())
        return list(runs.values())

    async def _start_stage(self, runs: list[_Run]) -> None:
        """Start *runs*, each when all that it requires run; return when all do, or one does not."""
        left = len(runs)
        ready: list[_Run] = [run for run in runs if not run.missing]
        while left and not self.ending:
            for run in ready:
                run.begin()
            if not self._is_eager:
                self.lifespan.loop.call_soon(_check_begun, ready)
            ready = []
            for run in await self._news():
                if run.step is _Step.RUNNING:
                    left -= 1
                    if run.dependants:
                        ready += _release(run.dependants)
                else:
                    self.ending = True

    async def _stop(self) -> None:
        """Stop whatever was begun, dependants before what they require."""
        self.ending = True
        if not self.starting:
            self.failures.clear()
        for run in reversed(self._runs):
            if run.step is _Step.ENTERING and not run.cancelled:
                run.cancel(unless_cancelled=self.cancelled)
        if self.shutdown_timeout is not None:
            self._after(self.shutdown_timeout, self._shutdown_limit)
        for stage in reversed(self._stages):
            await self._stop_stage(stage)
        self._disarm()

    async def _stop_stage(self, runs: list[_Run]) -> None:
        """Stop *runs*, each when all that require it are over; return when all are.

        What died stays between those that require it and what it required itself.
        """
        begun = [run for run in reversed(runs) if run.step is not _Step.WAITING]
        for run in begun:
            if run.dependants:
                run.missing = sum(other.step is not _Step.WAITING for other in run.dependants)
        ready: list[_Run] = [run for run in begun if not run.missing]
        left = len(begun)
        asked: set[_Run] = set()
        while left:
            for run in ready:
                run.stop()
            asked.update(ready)
            ready = []
            for run in await self._news():
                if run.step is _Step.OVER and run in asked:
                    asked.remove(run)
                    left -= 1
                    ready += _release(reversed(run.requires))

    async def _news(self) -> list[_Run]:
        """Return the runs posted since the last call; none when something else happened.

        In any case the loop turns before, so that a cancellation or a time limit can come.
        """
        try:
            if self._posted:
                await asyncio.sleep(0)
            else:
                self._waiter = self.lifespan.loop.create_future()
                await self._waiter
        except asyncio.CancelledError as cancellation:
            self._cancelled(cancellation)
        self._waiter = None
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
        if self.starting and self._cancellations == 1:
            late = [run for run in self._runs if run.step is _Step.ENTERING]
            logger.warning("The startup is interrupted, waiting for: %s", _names(late))
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
        if late:  # else those that were late have been abandoned in this very moment
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


def _refuse_circles(runs: Iterable[_Run]) -> None:
    try:
        graphlib.TopologicalSorter({run: run.requires for run in runs if run.requires}).prepare()
    except graphlib.CycleError as error:
        # Each of the list is required by the next.
        circle = " requires ".join(run.resource.name for run in reversed(error.args[1]))
        raise ResourceDeclarationError(
            f"The resources require each other in a circle: {circle}. Remove one of these "
            f"requirements, or move what both need into a resource of its own."
        ) from None


def _release(runs: Iterable[_Run]) -> Iterator[_Run]:
    """Tell *runs* that one of those that they wait for is done; yield those that wait no more."""
    for run in runs:
        run.missing -= 1
        if not run.missing:
            yield run


async def _throw(generator: AsyncGenerator[Any], error: BaseException) -> bool | None:
    """Raise *error* at the yield of *generator*; return whether it is swallowed there."""
    manager = asynccontextmanager(lambda: generator)()
    return await manager.__aexit__(type(error), error, error.__traceback__)


async def _finish(generator: AsyncGenerator[Any]) -> None:
    """Let *generator* go on after its yield, to its end."""
    async for _ in generator:
        await generator.aclose()
        raise RuntimeError("generator didn't stop")


def _check_begun(runs: Iterable[_Run]) -> None:
    for run in runs:
        run.check_begun()


class _Step(enum.Enum):
    WAITING = "waiting for what it requires"
    ENTERING = "opening"
    RUNNING = "running"
    EXITING = "closing"
    OVER = "ended or abandoned"


class _Run:
    """One resource in one lifespan, and the task in which it is both opened and closed.

    It is what the code of the resource sees of the lifespan as well.

    Attributes:
        missing: how many of those that it waits for are not done, in the phase that goes on.
    """

    # What every run has. They make the start of thousands a tenth faster and their stop a fifth.
    __slots__ = (
        "__dict__",
        "_level",
        "_loop",
        "_since",
        "_stopping",
        "_supervisor",
        "_task",
        "_waiter",
        "dependants",
        "missing",
        "requires",
        "resource",
        "step",
    )

    # What few have.
    cancelled = False
    on_abandon: Callable[[], None] | None = None
    _abandoned = False
    _died = False
    _error: BaseException | None = None
    _has_grace = False
    _reachable: Collection[Supervised] | None = None
    _timeout = 0.0
    _timer: asyncio.TimerHandle | None = None
    _troubles: Sequence[str] = ()

    def __init__(
        self,
        supervisor: Supervisor,
        resource: Supervised,
        level: int,
        *,
        reachable: Collection[Supervised] | None = None,
    ) -> None:
        self.resource = resource
        self.requires: Sequence[_Run] = ()
        self.dependants: Sequence[_Run] = ()
        self.missing = 0
        self.step = _Step.WAITING
        self._supervisor = supervisor
        self._loop = supervisor.lifespan.loop
        self._level = level
        self._since = 0.0
        self._stopping = False
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None]
        if reachable is not None:
            self._reachable = reachable

    @property
    def lifespan(self) -> Lifespan:
        """The lifespan that it is part of."""
        return self._supervisor.lifespan

    @property
    def reachable(self) -> Collection[Supervised]:
        """The resources required directly or through others."""
        if self._reachable is None:
            self._reachable = self._reach()
        return self._reachable

    def _reach(self) -> Collection[Supervised]:
        found: set[Supervised] = set()
        queue = list(self.requires)
        while queue:
            run = queue.pop()
            if run.resource not in found:
                found.add(run.resource)
                queue.extend(run.requires)
        return found

    def begin(self) -> None:
        """Start the task that opens the resource."""
        self._enter_step(_Step.ENTERING, self.resource.startup_timeout)
        self._task = self._supervisor.create_task(self._live(), name=self.resource.name)

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
        self._trouble(f"{why} and was abandoned")
        self._report()
        self._abandoned = True
        if self.on_abandon is not None:
            self.on_abandon()
        self.step = _Step.OVER
        self.lifespan.values.pop(self.resource, None)
        self.stop()

    async def _live(self) -> None:
        """Open the resource, wait, close it. Nothing that it raises leaves here."""
        current_view.set(self)
        try:
            generator = self.resource.open()
            try:
                value = await anext(generator)
            except StopAsyncIteration:
                raise RuntimeError("generator didn't yield") from None
            try:
                self._opened(value)
                if not self._stopping:
                    self._waiter = self._loop.create_future()
                    try:
                        await self._waiter
                    except asyncio.CancelledError as cancellation:
                        await self._survive(cancellation)
                self._closes()
            except BaseException as error:
                if not await _throw(generator, error):
                    raise
            else:
                await _finish(generator)
        except BaseException as error:
            self._error = error
        if not self._loop.is_running():  # it is gone, and nothing can run any more
            return
        if self._error is None:
            self._end()
        else:  # the supervisor gets a turn to know of a cancellation of the whole loop
            self._loop.call_soon(self._end)

    async def _survive(self, cancellation: asyncio.CancelledError) -> None:
        """Return when the resource has to close; raise CancelledError when it died.

        A cancellation that reaches it at its yield while the lifespan is ending comes from the
        loop, which cancels all of its tasks at once, and must not upset the order: one is
        swallowed. Any other comes from inside the resource, a task group for example.
        """
        try:
            if not await self._is_ending():
                raise cancellation
            uncancel()
            if not self._stopping:
                self._waiter = self._loop.create_future()
                await self._waiter
        except asyncio.CancelledError as death:
            self._dies(death)
            raise

    async def _is_ending(self) -> bool:
        """Return whether the lifespan is ending, once its task has had the time to know."""
        try:
            for _ in range(_TURNS):
                if self._supervisor.ending:
                    break
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self._supervisor.ending:  # the one before was the loop's all the same
                uncancel()
            raise
        return self._supervisor.ending

    def _opened(self, value: object) -> None:
        if self._stopping:  # too late: it was cancelled, and closes at once
            return
        self.lifespan.values[self.resource] = value
        self._log("%s started in %.0f ms")
        self.step = _Step.RUNNING
        if self._timer is not None:
            self._disarm()
        self._supervisor.post(self)

    def _dies(self, death: asyncio.CancelledError) -> None:
        self._died = True
        self._error = death
        self.lifespan.died[self.resource] = describe(death)
        if not self._supervisor.cancelled:  # else it is the loop that cancels, once more
            self._trouble("died while it was running")
        self._closes()
        self._supervisor.post(self)

    def _closes(self) -> None:
        if self._abandoned:
            return
        self.lifespan.values.pop(self.resource, None)
        timeout = self.resource.shutdown_timeout
        if self._died and timeout is None:  # why it died is known when it has closed
            timeout = self._supervisor.shutdown_timeout
        self._enter_step(_Step.EXITING, timeout)

    def check_begun(self) -> None:
        """Take note of a cancellation of the task before its first step."""
        if self._task.cancelled() and self._error is None:
            self._error = asyncio.CancelledError()
            self._loop.call_soon(self._end)  # as in _live()

    def _end(self) -> None:
        if self._abandoned:
            logger.debug("%s, which was abandoned, has ended", self.resource.name)
            return
        if self._timer is not None:
            self._disarm()
        self._report()
        self.step = _Step.OVER
        self._supervisor.post(self)

    def _report(self) -> None:
        """Log how it ended, once, and note what the server has to be told."""
        error = self._error
        if error is None and not self._troubles:
            self._log("%s stopped in %.0f ms")
            return
        name = self.resource.name
        is_opening = self.step is _Step.ENTERING
        is_meant = isinstance(error, asyncio.CancelledError) and (
            self.cancelled or self._died or (is_opening and self._supervisor.ending)
        )
        if self._died and error is not None:
            self.lifespan.died[self.resource] = describe(error)
        if self._troubles or not (error is None or is_meant):
            if isinstance(error, ReceiverError):  # says whose it is, and is in the log
                self._supervisor.failures.append(str(error))
                return
            what = ", ".join(self._troubles) or f"failed to {'start' if is_opening else 'stop'}"
            why = "" if error is None or is_meant else f": {describe(error)}"
            self._fail(f"{name} {what}{why}")
        else:
            self._log("%s was cancelled after %.0f ms")

    def _trouble(self, what: str) -> None:
        self._troubles = (*self._troubles, what)

    def _fail(self, failure: str) -> None:
        self._supervisor.failures.append(failure)
        logger.error("%s", failure, exc_info=self._error)

    def _enter_step(self, step: _Step, timeout: float | None) -> None:
        self.step = step
        if self._has_grace:
            self._has_grace = False
        self._since = self._loop.time()
        if self._timer is not None:
            self._disarm()
        if timeout is not None:
            self._timeout = timeout
            self._arm(timeout, self._limit)

    def _limit(self) -> None:
        doing = "start" if self.step is _Step.ENTERING else "stop"
        self._trouble(f"did not {doing} within {self._timeout:g} s")
        self.cancel_and_abandon()
        self._supervisor.post(self)

    def _arm(self, seconds: float, function: Any) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, function)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _log(self, message: str) -> None:
        if logger.isEnabledFor(self._level):
            milliseconds = (self._loop.time() - self._since) * 1000
            logger.log(self._level, message, self.resource.name, milliseconds)


def _names(runs: Sequence[_Run]) -> str:
    return ", ".join(_first([run.resource.name for run in runs])) or "nothing"


def _summary(failures: Sequence[str]) -> str:
    return "; ".join(_first(failures, remedy=": see the log"))


def _first(items: Sequence[str], *, remedy: str = "") -> Sequence[str]:
    """Return *items*; of many the first ones, and how many there are besides."""
    more = len(items) - _SHOWN
    return [*items[:_SHOWN], f"and {more:,} more{remedy}"] if more > 0 else items
