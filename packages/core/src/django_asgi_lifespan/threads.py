"""Synchronous code beside the event loop: a daemon thread a call, database connections closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

__all__ = ("run_in_thread",)

T = TypeVar("T")


async def run_in_thread(function: Callable[[], T], *, name: str) -> T:
    """Return what *function* returns, run in a thread of its own in a copy of this context.

    Django's database connections of that thread are closed afterwards, and ``async_to_sync``
    in it reaches this event loop. A thread cannot be cancelled: when the caller is, it is left
    to itself, and does not delay the end of the process.
    """

    def call() -> T:
        try:
            return function()
        finally:
            connections.close_all()

    # asgiref only hands the executor to loop.run_in_executor(), but asks for one class of them.
    executor: Any = _DaemonThread(name)
    return await sync_to_async(call, thread_sensitive=False, executor=executor)()


class _DaemonThread(Executor):
    """An executor with a daemon thread a call; those of the standard library are joined at exit."""

    def __init__(self, name: str) -> None:
        self._name = name

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a thread cannot be cancelled, so neither can it

        def work() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as exception:
                future.set_exception(exception)
            else:
                future.set_result(result)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return future
