"""The stop of a worker: the deadlines and the OS signals that only gunicorn has."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

from django_asgi_lifespan.adapters import DRAIN_SHARE, QUICK_LIMIT, Deadlines, Server, Stop

__all__ = ("UvicornRequests", "WorkerStop")

IMPATIENCE = 2.0
"""Seconds that gunicorn's arbiter leaves its workers when a SIGINT or SIGQUIT follows a SIGTERM.

Source: gunicorn/arbiter.py:482 in 27.0.1, ``Arbiter.stop()``.
"""


class WorkerStop(Stop):
    """The stop of a worker, which the arbiter kills at the end of ``graceful_timeout``.

    The arbiter counts from the OS signal that it sends. Sources, in gunicorn 27.0.1:
    ``Arbiter.stop()`` (gunicorn/arbiter.py:442), and "Signal Handling" in its documentation.

    Args:
        server: the methods through which the server in the worker is stopped.
        worker: may have a ``drain_share`` and a ``quick_timeout``, as `LifespanWorkerBase` has.
    """

    def __init__(
        self, server: Server, worker: Any, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        share = getattr(worker, "drain_share", DRAIN_SHARE)
        deadlines = Deadlines.before_kill(worker.cfg.graceful_timeout, share=share)
        option, logger = "--graceful-timeout", worker.log.error_log
        super().__init__(
            server,
            deadlines,
            option=option,
            logger=logger,
            delays=not worker.cfg.reload,
            clock=clock,
        )
        self._quick_timeout: float = getattr(worker, "quick_timeout", QUICK_LIMIT)
        self._received: set[int] = set()

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Handle an OS signal.

        One Ctrl+C is two OS signals for a worker: SIGINT from the terminal, and then SIGQUIT from
        the arbiter. So SIGQUIT means haste only after SIGTERM.
        """
        super().receive(number, frame)
        now = self._clock()
        if number in (signal.SIGINT, signal.SIGQUIT):
            self.deadlines.shorten(now, self._quick_timeout)
        if number == signal.SIGQUIT and signal.SIGTERM in self._received:
            self.hurry()
            self.deadlines.kill(now, IMPATIENCE)
        self._received.add(number)


class UvicornRequests:
    """The part of a `Server` that concerns requests, where uvicorn serves them."""

    _server: Any = None

    def stop_listening(self) -> None:
        """Let uvicorn stop: it closes the connections that have no request."""
        self._server.should_exit = True

    def requests(self) -> Collection[asyncio.Task[Any]]:
        """Return uvicorn's tasks."""
        tasks: Collection[asyncio.Task[Any]] = self._server.server_state.tasks
        return tasks

    def disconnect(self) -> None:
        """Drop the connections."""
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
