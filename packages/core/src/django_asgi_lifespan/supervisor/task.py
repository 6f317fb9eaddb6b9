"""One resource in one lifespan: the task in which it is both opened and closed."""

from __future__ import annotations

import asyncio
import enum
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from django_asgi_lifespan.errors import describe
from django_asgi_lifespan.lifespans import Lifespan, current_view
from django_asgi_lifespan.threads import uncancel

from .graph import Node
from .progress import Progress

__all__ = ("ResourceTask", "State", "Supervised")

_TURNS = 3
"""Loop turns in which the lifespan's task gets to know of a cancellation of the whole loop.

One is enough where it waits for a future, three where ``receive`` uses ``asyncio.wait_for``, which
has a task of its own on Python 3.10 and 3.11.
"""


class Supervised(Protocol):
    """A resource, as the supervisor needs to know it."""

    @property
    def name(self) -> str:
        """The name that messages call it by."""
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


class State(enum.Enum):
    """Where a resource task stands."""

    WAITING = "waiting for the resources that it requires"
    OPENING = "opening"
    OPEN = "open"
    DYING = "closing, because it was cancelled from inside while it was open"
    CLOSING = "closing"
    CLOSED = "closed, or never opened"
    ABANDONED = "not waited for any more"


BUSY = frozenset({State.OPENING, State.DYING, State.CLOSING})
"""The states in which code of the resource runs."""

ENDED = frozenset({State.CLOSED, State.ABANDONED})


class ResourceTask(Node):
    """One resource in one lifespan, and the task in which it is both opened and closed.

    It is also the view that the code of the resource has of the lifespan.

    Args:
        may_get: the resources that its code may ask for, instead of those that it requires.

    Attributes:
        state: where it stands.
        cancelled: whether the supervisor cancelled the code that opens or closes it.
        on_abandon: called when it is abandoned.
        level: the logging level of its lines, or None for that of the lifespan.
    """

    # Every task has these. They make the start of thousands a tenth faster and their stop a fifth.
    __slots__ = (
        "__dict__",
        "_close_request",
        "_progress",
        "_since",
        "_task",
        "resource",
        "state",
    )

    # Few tasks have these.
    cancelled = False
    level: int | None = None
    on_abandon: Callable[[], None] | None = None
    _error: BaseException | None = None
    _limit = 0.0
    _may_get: set[object] | None = None
    _troubles: Sequence[str] = ()

    def __init__(
        self,
        progress: Progress,
        resource: Supervised,
        *,
        may_get: Iterable[Supervised] | None = None,
        level: int | None = None,
    ) -> None:
        super().__init__()
        if may_get is not None:
            self._may_get = {*may_get}
        if level is not None:
            self.level = level
        self.resource = resource
        self.state = State.WAITING
        self._progress = progress
        self._since = 0.0
        self._close_request: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None]

    @property
    def lifespan(self) -> Lifespan:
        """The lifespan that it is part of."""
        return self._progress.lifespan

    def may_get(self, resource: object) -> bool:
        """Return whether its code may ask for *resource*: it requires it, also through others."""
        if self._may_get is None:
            self._may_get = {required.resource for required in self.requires}
        if resource in self._may_get:
            return True
        found = {*self.requires}
        queue = [*self.requires]
        while queue:
            for required in queue.pop().requires:
                if required.resource is resource:
                    self._may_get.add(resource)
                    return True
                if required not in found:
                    found.add(required)
                    queue.append(required)
        return False

    def begin(self) -> None:
        """Start the task that opens the resource."""
        self._enter(State.OPENING, self.resource.startup_timeout)
        self._task = self._progress.create_task(self._open_wait_close(), name=self.resource.name)

    def close(self) -> None:
        """Let the resource close. The progress learns when it has."""
        if self.state in ENDED:
            self._progress.changed(self)
        self._request_close()

    def cancel(self) -> None:
        """Cancel the code that opens or closes it. If it opens all the same, it closes at once."""
        self.cancelled = True
        self._request_close()
        self._task.cancel()

    def cancel_opening(self) -> None:
        """Cancel the code that opens it, because the lifespan ends.

        A cancellation of the whole loop has reached that code already. Python 3.10 cannot tell.
        """
        if sys.version_info >= (3, 11) and self._progress.cancellations and self._task.cancelling():
            self.cancelled = True
            self._request_close()
        else:
            self.cancel()

    def abandon(self, why: str) -> None:
        """Wait for it no more, and let it close by itself if it ever gets there."""
        self._progress.limits.end(self)
        self._trouble(f"{why} and was abandoned")
        self._tell_how_it_ended()
        self.state = State.ABANDONED
        if self.on_abandon is not None:
            self.on_abandon()
        self.lifespan.values.pop(self.resource, None)
        self.close()

    def check_begun(self) -> None:
        """Take note of a cancellation of the task before its first step."""
        if self._task.cancelled() and self._error is None:
            self._error = asyncio.CancelledError()
            self._progress.loop.call_soon(self._finish)  # as in _open_wait_close()

    async def _open_wait_close(self) -> None:
        """Open the resource, wait, close it. Nothing that it raises leaves here."""
        current_view.set(self)
        try:
            generator = self.resource.open()
            try:
                value = await anext(generator)
            except StopAsyncIteration:
                raise RuntimeError("generator didn't yield") from None
            try:
                self._mark_open(value)
                try:
                    await self._awaited_request()
                except asyncio.CancelledError as cancellation:
                    await self._survive(cancellation)
                self._begin_closing()
            except BaseException as error:
                if not await _throw(generator, error):
                    raise
            else:
                await _go_on(generator)
        except BaseException as error:
            self._error = error
        if not self._progress.loop.is_running():  # it is gone, and nothing can run any more
            return
        if self._error is None:
            self._finish()
        else:  # the supervisor gets a turn to know of a cancellation of the whole loop
            self._progress.loop.call_soon(self._finish)

    def _request_close(self) -> None:
        request = self._awaited_request()
        if not request.done():
            request.set_result(None)

    def _awaited_request(self) -> asyncio.Future[None]:
        """Return the future that is done when the resource has to close.

        A cancellation of the task cancels the future, which is replaced then.
        """
        request = self._close_request
        if request is None or request.cancelled():
            request = self._close_request = self._progress.loop.create_future()
        return request

    async def _survive(self, cancellation: asyncio.CancelledError) -> None:
        """Return when the resource has to close. Raise CancelledError when it died.

        A cancellation that reaches it at its yield while the lifespan is ending comes from the
        loop, which cancels all of its tasks at once, and must not upset the order: one is
        swallowed. Any other comes from inside the resource, a task group for example.
        """
        try:
            if not await self._is_ending():
                raise cancellation
            uncancel()
            await self._awaited_request()
        except asyncio.CancelledError as death:
            self._mark_died(death)
            raise

    async def _is_ending(self) -> bool:
        """Return whether the lifespan is ending, once its task has had the time to know."""
        try:
            for _ in range(_TURNS):
                if self._progress.is_ending:
                    break
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self._progress.is_ending:  # the one before was the loop's all the same
                uncancel()
            raise
        return self._progress.is_ending

    def _mark_open(self, value: object) -> None:
        if self._close_request is not None and self._close_request.done():
            return  # too late: it was cancelled, and closes at once
        self.lifespan.values[self.resource] = value
        self._tell("started in")
        self.state = State.OPEN
        progress = self._progress
        if progress.limits.own:
            progress.limits.end(self)
        progress.changed(self)

    def _mark_died(self, death: asyncio.CancelledError) -> None:
        self._error = death
        self.lifespan.died[self.resource] = describe(death)
        if not self._progress.cancellations:  # else it is the loop that cancels, once more
            self._trouble("died while it was running")
        self._begin_closing(State.DYING)
        self._progress.changed(self)

    def _begin_closing(self, state: State = State.CLOSING) -> None:
        if self.state is State.ABANDONED:
            return
        self.lifespan.values.pop(self.resource, None)
        limit = self.resource.shutdown_timeout
        if state is State.DYING and limit is None:  # why it died is known when it has closed
            limit = self._progress.shutdown_timeout
        self._enter(state, limit)

    def _finish(self) -> None:
        if self.state is State.ABANDONED:
            self._progress.report.abandoned_one_ended(self.resource.name)
            return
        progress = self._progress
        if progress.limits.own:
            progress.limits.end(self)
        self._tell_how_it_ended()
        self.state = State.CLOSED
        progress.changed(self)

    def _tell_how_it_ended(self) -> None:
        """Log it once, and note the message for the server."""
        error = self._error
        if error is None and not self._troubles:
            self._tell("stopped in")
            return
        is_opening = self.state is State.OPENING
        has_died = self.state is State.DYING
        is_meant = isinstance(error, asyncio.CancelledError) and (
            self.cancelled or has_died or (is_opening and self._progress.is_ending)
        )
        if has_died and error is not None:
            self.lifespan.died[self.resource] = describe(error)
        if self._troubles or not (error is None or is_meant):
            what = ", ".join(self._troubles) or f"failed to {'start' if is_opening else 'stop'}"
            report = self._progress.report
            report.resource_failed(self.resource.name, what, error, is_reason=not is_meant)
        else:
            self._tell("was cancelled after")

    def _trouble(self, what: str) -> None:
        self._troubles = (*self._troubles, what)

    def _enter(self, state: State, limit: float | None) -> None:
        self.state = state
        progress = self._progress
        self._since = progress.loop.time()
        if limit is not None:
            self._limit = limit
        if limit is not None or progress.limits.own:  # most resources have no limit
            progress.limits.begin(self, limit, self._exceed_limit)

    def _exceed_limit(self) -> None:
        doing = "start" if self.state is State.OPENING else "stop"
        self._trouble(f"did not {doing} within {self._limit:g} s")
        self._progress.limits.give_grace(self)
        self._progress.changed(self)

    def _tell(self, what: str) -> None:
        report = self._progress.report
        if report.is_told:
            report.resource_done(self.resource.name, what, self._since, self.level)


async def _throw(generator: AsyncGenerator[Any], error: BaseException) -> bool | None:
    """Raise *error* at the yield of *generator*, and return whether it is swallowed there."""
    manager = asynccontextmanager(lambda: generator)()
    return await manager.__aexit__(type(error), error, error.__traceback__)


async def _go_on(generator: AsyncGenerator[Any]) -> None:
    """Let *generator* go on after its yield, to its end."""
    async for _ in generator:
        await generator.aclose()
        raise RuntimeError("generator didn't stop")
