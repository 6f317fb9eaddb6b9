"""A thread that does not delay the end of the process, and looks after its database connections."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from .database import close_connections, drop_broken

__all__ = ("DaemonThread",)

T = TypeVar("T")


class DaemonThread(Executor):
    """An executor of one daemon thread, because those of the standard library are joined at exit.

    The connections of the thread are closed at its end, and broken ones after each call.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=_work, args=(self._calls,), name=name, daemon=True)
        # In an empty context: -X thread_inherit_context lets a thread keep the one it begins in,
        # and with it the lifespan, whose end ends the thread.
        contextvars.Context().run(self._thread.start)

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call *function* in the thread.

        Where an event loop in the thread itself asks, the thread waits for it, and lends another.
        """
        if threading.current_thread() is self._thread:
            return DaemonThread(self._thread.name).submit(function, *args, **kwargs)
        future = Future[T]()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as exception:
                future.set_exception(exception)
            else:
                future.set_result(result)

        self._calls.put(run)
        return future

    def put(self, function: Callable[[], None]) -> None:
        """Call *function*, which does not raise, before the next call."""
        self._calls.put(function)

    def end(self) -> None:
        """Let the thread end after the calls that it has."""
        self._calls.put(None)

    __del__ = end


def _work(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (run := calls.get()) is not None:
        run()
        del run  # its context would keep the thread alive
        drop_broken()
    close_connections()
