"""What the resource tasks and their supervisor share: how far the lifespan has got."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any

from django_asgi_lifespan.lifespans import Lifespan
from django_asgi_lifespan.own_thread import resource_context, thread_sensitive_context
from django_asgi_lifespan.threads import uncancel

from .limits import Limits
from .report import Report

__all__ = ("Progress",)

_TURNS = 3
"""Loop turns in which the lifespan's task gets to know of a cancellation of the whole loop.

One is enough where it waits for a future, three where ``receive`` uses ``asyncio.wait_for``, which
has a task of its own on Python 3.10 and 3.11.
"""


class Progress:
    """The progress of one lifespan.

    Attributes:
        lifespan: gets the values of the open resources.
        loop: the event loop of the lifespan.
        is_starting: whether the startup goes on.
        is_ending: whether everything is to close, after a failure as well.
        cancellations: how often the task of the lifespan was cancelled.
        shutdown_timeout: seconds for the whole shutdown, or None for no limit.
        create_task: makes the task of a resource.
        is_eager: whether such a task begins at once.
    """

    def __init__(self, lifespan: Lifespan, report: Report, shutdown_timeout: float | None) -> None:
        self.lifespan = lifespan
        self.loop = lifespan.loop
        self.report = report
        self.limits = Limits(lifespan.loop)
        self.shutdown_timeout = shutdown_timeout
        self.is_starting = True
        self.is_ending = False
        self.cancellations = 0
        # Tasks that begin at once cost half as much, where no factory of others makes them.
        self.is_eager = False
        self.create_task: Callable[..., asyncio.Task[Any]] = lifespan.loop.create_task
        if sys.version_info >= (3, 12) and lifespan.loop.get_task_factory() is None:
            self.is_eager = True
            self.create_task = functools.partial(asyncio.Task, loop=lifespan.loop, eager_start=True)
        self._changed: list[Any] = []
        self._waiter: asyncio.Future[None] | None = None

    def begin(self, tasks: Iterable[Any]) -> None:
        """Begin *tasks*, in whose context each resource has a thread for its synchronous code."""
        token = thread_sensitive_context.set(resource_context)  # in each task it would cost more
        try:
            for task in tasks:
                task.begin()
        finally:
            thread_sensitive_context.reset(token)

    def changed(self, task: Any) -> None:
        """Take note that *task* opened, ended, was abandoned or met its time limit."""
        self._changed.append(task)
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Let ``changes()`` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def changes(self) -> list[Any]:
        """Return the tasks that changed since the last call, or none where something else happened.

        In any case the loop turns before, so that a cancellation or a time limit can come.

        Raises:
            asyncio.CancelledError: the changes are kept for the next call.
        """
        try:
            if self._changed:
                await asyncio.sleep(0)
            else:
                self._waiter = self.loop.create_future()
                await self._waiter
        finally:
            self._waiter = None
        changed, self._changed = self._changed, []
        return changed

    async def learn_whether_ending(self) -> bool:
        """Return whether the lifespan is ending, once its task has had the time to know."""
        try:
            for _ in range(_TURNS):
                if self.is_ending:
                    break
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self.is_ending:  # the one before was the loop's all the same
                uncancel()
            raise
        return self.is_ending
