"""Synchronous code beside the event loop: daemon threads, and context managers that live in one."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import connections

from .last_resort import log
from .lifespans import current_view

__all__ = ("InThread", "run_in_thread", "uncancel")

T = TypeVar("T")

logger = logging.getLogger("django_asgi_lifespan")


async def run_in_thread(function: Callable[[], T], *, name: str) -> T:
    """Return what *function* returns, run in a thread of its own in a copy of this context.

    Django's database connections of that thread are closed afterwards, and ``async_to_sync``
    in it reaches this event loop. A thread cannot be cancelled: when the caller is, the receivers
    of a lifespan wait until the thread has ended or they are abandoned, because the thread uses
    resources. Elsewhere the thread is left to itself. It does not delay the end of the process.
    """
    thread = _DaemonThread(name)
    view = current_view.get()
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    if view is not None:
        view.on_abandon = functools.partial(given_up.set_result, None)
    try:
        return await _run(thread, function)
    except asyncio.CancelledError:
        if view is not None:
            ended = await _wait_for_call(thread, given_up)
            if not ended.cancelled():
                ended.exception()  # nobody is left who could be told
        raise
    finally:
        thread.end()


class InThread:
    """An async context manager that enters and exits a synchronous one in a thread of its own.

    Both run in one copy of the context in which it is entered. Cancellations do not reach a
    thread, and are swallowed; once it is abandoned, it waits no more, and the thread exits what
    it has entered by itself.

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
        self._entered = False
        self._leaving = False
        self._abandoned = False

    async def __aenter__(self) -> Any:
        self._thread = _DaemonThread(self._name)
        self._context = contextvars.copy_context()
        self._given_up = asyncio.get_running_loop().create_future()
        view = current_view.get()
        if view is not None:
            view.on_abandon = self.abandon  # else its task would wait for the thread, for ever
        try:
            return await self._call(self._enter)
        except BaseException:
            self._thread.end()
            raise

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
        try:
            suppress: bool | None = await self._call(leave)
            return suppress
        finally:
            self._thread.end()

    def abandon(self) -> None:
        """Wait no more: the task ends with CancelledError, the thread goes on by itself."""
        with self._lock:
            self._abandoned = True
            on_its_way = self._entered and not self._leaving
        if not on_its_way:  # else the task is about to resume, and exits what was entered
            self._given_up.set_result(None)

    def _enter(self) -> Any:
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
        try:
            return await _run(self._thread, functools.partial(self._context.run, function))
        except asyncio.CancelledError:
            uncancel()
            ended = await _wait_for_call(self._thread, self._given_up)
            return ended.result()


async def _wait_for_call(
    thread: _DaemonThread, given_up: asyncio.Future[None]
) -> asyncio.Future[Any]:
    """Wait for the call of *thread*, which goes on after a cancellation, or until *given_up*.

    Returns:
        The outcome of the call; cancelled where it was given up.
    """
    ended: asyncio.Future[Any] = asyncio.wrap_future(thread.call)
    while not (ended.done() or given_up.done()):
        try:
            await asyncio.wait((ended, given_up), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            uncancel()
    if not ended.done():
        ended.cancel()
    return ended


def uncancel() -> None:
    """Take back a cancellation of this task that was swallowed, where Python counts them."""
    if sys.version_info >= (3, 11):
        cast("asyncio.Task[Any]", asyncio.current_task()).uncancel()


async def _run(thread: _DaemonThread, function: Callable[[], T]) -> T:
    def call() -> T:
        try:
            return function()
        finally:
            connections.close_all()

    # asgiref only hands the executor to loop.run_in_executor(), but asks for one class of them.
    executor: Any = thread
    return await sync_to_async(call, thread_sensitive=False, executor=executor)()


class _DaemonThread(Executor):
    """An executor of one daemon thread, because those of the standard library are joined at exit.

    Attributes:
        call: the latest call. It cannot be cancelled, as the thread cannot.
    """

    call: Future[Any]

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        self.call = future = Future[T]()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as exception:
                future.set_exception(exception)
            else:
                future.set_result(result)

        self._calls.put(run)
        return future

    def end(self) -> None:
        """Let the thread end after the calls that it has."""
        self._calls.put(None)

    def _work(self) -> None:
        while (run := self._calls.get()) is not None:
            run()
