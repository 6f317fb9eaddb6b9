"""One resource in one lifespan: the task in which it is both opened and closed."""

from __future__ import annotations

import asyncio
import sys

from django_asgi_lifespan.database import drop_dead
from django_asgi_lifespan.errors import describe
from django_asgi_lifespan.lifespans import current_view
from django_asgi_lifespan.threads import uncancel

from .generators import go_on, throw
from .states import ENDED, State
from .threaded import Threaded

__all__ = ("ResourceTask",)


class ResourceTask(Threaded):
    """The task in which one resource is both opened and closed.

    It is also the view that the code of the resource has of the lifespan.
    """

    __slots__ = ("_close_request",)

    _close_request: asyncio.Future[None] | None

    _limit = 0.0  # which few have

    def begin(self) -> None:
        """Start the task that opens the resource."""
        self._close_request = None
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
            self._progress.loop.call_soon(self._finish)  # as in _let_finish()

    async def _open_wait_close(self) -> None:
        """Open the resource, wait, close it. Nothing that it raises leaves here."""
        current_view.set(self)
        try:
            generator = self.resource.open()
            try:
                value = await anext(generator)
            except StopAsyncIteration:
                message = "generator didn't yield: it has to, once [lifespan-yield]"
                raise RuntimeError(message) from None
            try:
                if self.executor is not None:
                    await self._settle_connections()
                self._mark_open(value)
                try:
                    await self._awaited_request()
                except asyncio.CancelledError as cancellation:
                    await self._survive(cancellation)
                self._begin_closing()
            except BaseException as error:
                if not await throw(generator, error):
                    raise
            else:
                await go_on(generator)
        except BaseException as error:
            self._error = error
        if not self._progress.loop.is_running():  # it is gone, and nothing can run any more
            return
        if self.executor is not None:
            await self._end_thread()
        self._let_finish()

    def _let_finish(self) -> None:
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
            if not await self._progress.learn_whether_ending():
                raise cancellation
            uncancel()
            await self._awaited_request()
        except asyncio.CancelledError as death:
            self._mark_died(death)
            raise

    def _mark_open(self, value: object) -> None:
        if self._close_request is not None and self._close_request.done():
            return  # too late: it was cancelled, and closes at once
        progress = self._progress
        progress.lifespan.values[self.resource] = value
        self._tell("started in")
        self.state = State.OPEN
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
        if self.executor is not None:
            self.executor.put(drop_dead)

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

    def _enter(self, state: State, limit: float | None) -> None:
        """Begin a step of the resource, and count its time from now on."""
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
