"""One thread that requests have in turn, and the database connections that were opened in it."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from .database import close_connections

__all__ = ("RequestThread",)

_here = threading.local()
"""``connections``: those of the request thread that runs the code, which it shares with others."""


class RequestThread:
    """A thread that runs one call after the other.

    Attributes:
        is_free: whether every call that was submitted has ended.
        idle_since: the time of the event loop at which a request gave it back.
        ended: done when the thread has closed its connections. It cannot be cancelled.
    """

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.ended: Future[None] = Future()
        self.ended.set_running_or_notify_cancel()
        self._connections: list[Any] = []
        self._submitted = self._completed = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="request")
        # In an empty context: -X thread_inherit_context lets a thread keep the one it begins in.
        context = contextvars.Context()
        context.run(self._executor.submit, setattr, _here, "connections", self._connections)

    @property
    def is_free(self) -> bool:
        return self._submitted == self._completed

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call *function* after the calls that were submitted before."""
        self._submitted += 1

        def call() -> Any:
            try:
                return function(*args, **kwargs)
            finally:
                self._completed += 1

        return self._executor.submit(call)

    def when_free(self, function: Callable[[], None]) -> None:
        """Call *function* in the thread after all other calls. It may use the thread again."""

        def call() -> None:
            self._completed = (
                self._submitted
            )  # calls that were cancelled before they began never run
            function()

        self._executor.submit(call)

    def trouble(self) -> str | None:
        """Return the part of a request that must not reach the next one, in words, or None.

        It is an empty string for a connection that is only too old.
        """
        for connection in self._connections:
            if connection.in_atomic_block:  # even a closed one would refuse the next request
                return f"a transaction open in the database {connection.alias!r}"
            if connection.connection is None:
                continue
            if connection.autocommit != connection.settings_dict["AUTOCOMMIT"]:
                return f"autocommit changed in the database {connection.alias!r}"
            if connection.close_at is not None and time.monotonic() >= connection.close_at:
                return ""  # Django closes it at the end of a request, unless it was cut off
        return None

    def end(self, then: Callable[[RequestThread], None]) -> None:
        """Close the connections and end the thread, after all calls. Call *then* there."""

        def close() -> None:
            try:
                close_connections()
            finally:
                then(self)
                self.ended.set_result(None)

        self._executor.submit(close)
        self._executor.shutdown(wait=False)


def _note_connections(**_: Any) -> None:
    """Let a request thread know its connections, of which one has just been opened."""
    noted: list[Any] | None = getattr(_here, "connections", None)
    if noted is not None:
        noted[:] = connections.all(initialized_only=True)


connection_created.connect(_note_connections, dispatch_uid="django_asgi_lifespan.request_thread")
