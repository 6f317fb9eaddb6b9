"""Synchronous code beside the event loop: calls and context managers in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar, cast

from asgiref.sync import sync_to_async

from .last_resort import log
from .lifespans import current_view
from .own_thread import executor_here

__all__ = ("InThread", "run_in_thread", "uncancel")

T = TypeVar("T")

logger = logging.getLogger("django_asgi_lifespan")


async def run_in_thread(function: Callable[[], T], *, name: str) -> T:
    """Return the result of *function*, run in the thread of this code, in a copy of its context.

    A thread cannot be cancelled: when the caller is, the receivers of a lifespan wait until the
    call has ended or they are abandoned, because it uses resources. Elsewhere the thread is left
    to itself. It does not delay the end of the process.
    """
    call = _Call(executor_here(name))
    view = current_view.get()
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    if view is not None:
        view.on_abandon = functools.partial(given_up.set_result, None)
    try:
        return await call(function)
    except asyncio.CancelledError:
        if view is not None:
            ended = await _wait_for_outcome(call, given_up)
            if not ended.cancelled():
                ended.exception()  # nobody is left who could be told
        raise


class InThread:
    """An async context manager that enters and exits a synchronous one in the thread of this code.

    Both run in one copy of the context in which it is entered. Cancellations do not reach a
    thread that has begun, and are swallowed. Once it is abandoned, it waits no more, and the thread
    exits the manager by itself.

    Args:
        make: returns the synchronous context manager. It is called in the thread.
        name: that of the thread.
    """

    def __init__(
        self, make: Callable[[], AbstractContextManager[Any, bool | None]], name: str
    ) -> None:
        self._make = make
        self._name = name
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._entered = False
        self._leaving = False
        self._abandoned = False

    async def __aenter__(self) -> Any:
        self._executor = executor_here(self._name)
        self._context = contextvars.copy_context()
        self._given_up = asyncio.get_running_loop().create_future()
        view = current_view.get()
        if view is not None:
            view.on_abandon = self.abandon  # else its task would wait for the thread, for ever
        return await self._call(self._enter)

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._leaving = True
        if self._abandoned:
            self._given_up.set_result(None)
        leave = functools.partial(self._manager.__exit__, exception_type, exception, traceback)
        suppress: bool | None = await self._call(leave)
        return suppress

    def abandon(self) -> None:
        """Wait no more: the task ends with CancelledError, the thread goes on by itself."""
        with self._lock:
            self._abandoned = True
            on_its_way = self._entered and not self._leaving
        if not on_its_way:  # else the task is about to resume, and exits the manager
            self._given_up.set_result(None)

    def _enter(self) -> Any:
        if self._is_cancelled:  # before the thread came to it: nothing opens after the stop
            raise asyncio.CancelledError
        self._manager = self._make()
        value = self._manager.__enter__()
        with self._lock:
            self._entered = not self._abandoned
        if not self._entered:
            try:
                self._manager.__exit__(None, None, None)
            except BaseException as error:
                message = "%s, abandoned, failed to stop"
                log(logger, logging.ERROR, message, self._name, exc_info=error)
        return value

    async def _call(self, function: Callable[[], Any]) -> Any:
        call = _Call(self._executor)
        try:
            return await call(functools.partial(self._context.run, function))
        except asyncio.CancelledError:
            self._is_cancelled = True
            uncancel()
            ended = await _wait_for_outcome(call, self._given_up)
            return ended.result()


def uncancel() -> None:
    """Take back a cancellation of this task that was swallowed, where Python counts them."""
    if sys.version_info >= (3, 11):
        cast("asyncio.Task[Any]", asyncio.current_task()).uncancel()


class _Call(Executor):
    """One call in the thread of *executor*, whose outcome can be had after a cancellation.

    Attributes:
        outcome: cannot be cancelled, as the thread cannot.
    """

    def __init__(self, executor: Executor) -> None:
        self.outcome: Future[Any] = Future()
        self._executor = executor

    async def __call__(self, function: Callable[[], T]) -> T:
        """Return the result of *function*. ``async_to_sync()`` in it reaches this event loop."""
        # asgiref only hands the executor to loop.run_in_executor(), but asks for one class of them.
        return await sync_to_async(
            function, thread_sensitive=False, executor=cast("ThreadPoolExecutor", self)
        )()

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        self.outcome.set_running_or_notify_cancel()

        def run() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as exception:
                self.outcome.set_exception(exception)
            else:
                self.outcome.set_result(result)

        self._executor.submit(run)
        return self.outcome


async def _wait_for_outcome(call: _Call, given_up: asyncio.Future[None]) -> asyncio.Future[Any]:
    """Wait for *call*, which goes on after a cancellation, or until *given_up*.

    Returns:
        The outcome of the call, cancelled where it was given up.
    """
    ended: asyncio.Future[Any] = asyncio.wrap_future(call.outcome)
    while not (ended.done() or given_up.done()):
        try:
            await asyncio.wait((ended, given_up), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            uncancel()
    if not ended.done():
        ended.cancel()
    return ended
