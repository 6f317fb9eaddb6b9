"""The synchronous code of a lifespan under test, which the thread of the test runs."""

from __future__ import annotations

import asyncio
import collections
import functools
import logging
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar, cast

from asgiref.sync import AsyncToSync

from django_asgi_lifespan.errors import LifespanError
from django_asgi_lifespan.last_resort import log

__all__ = ("CallerThread",)

T = TypeVar("T")

logger = logging.getLogger("django_asgi_lifespan")

PATIENCE = 10.0
"""Seconds for which the code of a task waits until the test enters the lifespan."""


class CallerThread(Executor):
    """Runs code in the thread that makes this object, whenever it waits for the event loop.

    A request runs its synchronous code there by itself, because asgiref knows the thread that waits
    for it. That of resources, and of their tasks between two requests, comes here. The thread gets
    to it when it waits in ``wait_for()``, or for a coroutine in ``async_to_sync()``.
    """

    def __init__(self) -> None:
        self._thread = threading.current_thread()
        self._calls: collections.deque[_Call] = collections.deque()
        self._changed = threading.Condition()
        self._entrances: list[Executor] = []

    def enter(self) -> None:
        """Take note that the current thread wakes the event loop.

        If it is the thread of the test in ``async_to_sync()``, it runs calls until the coroutine
        has ended.
        """
        entrance: Executor | None = getattr(AsyncToSync.executors, "current", None)
        if entrance is None or threading.current_thread() is not self._thread:
            return
        with self._changed:
            if entrance in self._entrances:
                return
            self._entrances.append(entrance)
        self.run_calls()

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        call = _Call(functools.partial(function, *args, **kwargs))
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        loop = asyncio.get_running_loop()
        loop.call_later(PATIENCE, self._give_up, weakref.ref(call), task.get_name())
        with self._changed:
            self._calls.append(call)
            self._changed.notify()
            self._offer()
        return call.future

    def wait_for(self, future: Future[T]) -> T:
        """Return the result of *future*. Meanwhile run the calls."""
        future.add_done_callback(self._notify)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls or future.done())
            self.run_calls()
            if future.done():
                return future.result()

    def run_calls(self) -> None:
        """Run the calls that wait, if this is the thread of the test."""
        while threading.current_thread() is self._thread:
            with self._changed:
                if not self._calls:
                    break
                call = self._calls.popleft()
            call.run()

    def _notify(self, future: Future[Any]) -> None:
        with self._changed:
            self._changed.notify()

    def _offer(self) -> None:
        """Let the thread run the calls if it waits for a coroutine."""
        while self._entrances:
            try:
                self._entrances[-1].submit(self.run_calls)
            except RuntimeError:  # it waits no longer
                self._entrances.pop()
            else:
                return

    def _give_up(self, reference: weakref.ref[_Call], task: str) -> None:
        call = reference()
        with self._changed:
            if call is None or call not in self._calls:
                return
            self._calls.remove(call)
        if not call.future.set_running_or_notify_cancel():
            return
        error = LifespanError(
            f"Synchronous code of the task {task!r}, such as Django's ORM, has waited for the "
            f"thread of the test for {PATIENCE:g} s. The thread runs it when the test enters the "
            f"lifespan: in a request, in lifespan.run(), at the end. If the test waits for the "
            f"task, wait in the event loop: lifespan.run(wait()). [lifespan-test-thread]"
        )
        log(logger, logging.ERROR, "%s", error)
        call.future.set_exception(error)


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._function = function

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._function()
        except BaseException as exception:
            self.future.set_exception(exception)
        else:
            self.future.set_result(result)
