"""The thread of one resource in one lifespan, and the database connections in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from django_asgi_lifespan.database import settle
from django_asgi_lifespan.own_thread import ThreadOwner
from django_asgi_lifespan.threads import uncancel

from .record import Record
from .states import State

__all__ = ("Threaded",)


class Threaded(Record, ThreadOwner):
    """A record with the task of the resource, and with the thread of its synchronous code.

    Attributes:
        on_abandon: called when it is abandoned.
    """

    __slots__ = ("_task",)

    on_abandon: Callable[[], None] | None = None  # which few have
    _task: asyncio.Task[None]

    async def _settle_connections(self) -> None:
        """Close the connections of a resource that has opened, unless it keeps them."""
        if not self.resource.keep_connections:
            await self._wait_for(self.begin_thread(self.name).submit(settle))

    async def _end_thread(self) -> None:
        await self._wait_for(self.end_thread())

    async def _wait_for(self, call: Future[None]) -> None:
        """Wait for *call* in the thread.

        Only who abandons the resource cuts it short. A cancellation that is not ours comes again.
        """
        ended = asyncio.wrap_future(call)
        comes_again = False
        while self.state is not State.ABANDONED and not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                uncancel()
                comes_again = not self.cancelled
        if comes_again:
            self._task.cancel()
        if ended.done():
            ended.result()
