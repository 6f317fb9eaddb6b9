"""The stop of a worker of granian's.

``tests/seams.py`` lists the private parts of granian on which this module relies.
"""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import time
from collections.abc import Collection
from contextlib import ExitStack
from types import FrameType
from typing import Any

from granian._granian import WorkerSignal
from granian.asgi import LifespanProtocol

from django_asgi_lifespan.adapters import (
    GRACE,
    STARTUP_FAILURE,
    AdaptedLifespan,
    Deadlines,
    Stop,
    calls,
    exit_despite_threads,
)

__all__ = ("SHUTDOWN_FAILED", "Worker")

logger = logging.getLogger("_granian")  # the one that granian's log configuration shows

SHUTDOWN_FAILED = 4
"""The exit code of a worker that could not close everything. The twin's parent ends with 1 then.

granian itself ends a worker with 1 where it could not start.
"""

REQUEST = ("granian._futures", "_future_watcher_wrapper.<locals>.future_watcher")
"""The coroutine function of a request."""

VIEW = ("django.core.handlers.asgi", "ASGIHandler.handle.<locals>.process_request")
"""That of a view from Django 5.0 to 6.0. In other releases it runs in the task of the request."""

LIFESPAN = ("granian.asgi", "LifespanProtocol.handle")
"""That of the task that runs the application's lifespan."""


class Worker:
    """A worker of granian's: be inside while its lifespan runs.

    SIGINT is left to the supervisor, which sends the worker SIGTERM for it. One that comes half a
    second into the stop or later gives up the requests in flight.

    Args:
        protocol: granian's side of the lifespan protocol.
        shutdown_event: stops the worker. Another call of its ``set()`` may block for ever.
        kill_timeout: seconds after which granian kills the worker, or None if it does not.
        delays: whether SIGTERM waits for the drain delay of the settings.
    """

    def __init__(
        self,
        protocol: LifespanProtocol,
        shutdown_event: WorkerSignal,
        lifespan: AdaptedLifespan,
        *,
        kill_timeout: float | None,
        delays: bool,
    ) -> None:
        self._protocol = protocol
        self._shutdown_event: WorkerSignal | None = shutdown_event
        self._stop = Stop(
            self,
            Deadlines(None) if kill_timeout is None else Deadlines.before_kill(kill_timeout),
            option="--workers-kill-timeout",
            logger=logger,
            lifespan=lifespan,
            delays=delays,
        )
        self._is_told = False
        self._interrupted_at = -math.inf
        self._held = ExitStack()
        self._task: asyncio.Task[Any]

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        # An OS signal that has arrived in the meantime waits in the event loop for its handler.
        loop.add_signal_handler(signal.SIGTERM, self._receive_late)
        loop.add_signal_handler(signal.SIGINT, _wake_up)
        # The loop would come too late, and uvloop loses OS signals while it does not run. These
        # handlers stay, because the process ends.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._receive)
        self._held.enter_context(self._stop.beside(self._protocol))
        for call in calls(*LIFESPAN):
            if call.variables["self"] is self._protocol:
                self._task = call.task
        self._task.add_done_callback(self._lifespan_ended)

    def __exit__(self, *details: object) -> None:
        """Leave the rest to granian, whose lifespan may be that of an application in front."""

    def _lifespan_ended(self, task: asyncio.Task[None]) -> None:
        """Let the process end, although threads may be left.

        Raises:
            SystemExit: something could not be closed, for which granian has no exit code.
        """
        self._held.close()
        failed = STARTUP_FAILURE if self._protocol.failure_startup else SHUTDOWN_FAILED
        exit_despite_threads(logger, code=failed)
        if self._protocol.failure_shutdown:
            raise SystemExit(SHUTDOWN_FAILED)

    def _receive(self, number: int, frame: FrameType | None = None) -> None:
        """Handle an OS signal. SIGTERM soon after SIGINT is the supervisor's, for Ctrl+C."""
        if number == signal.SIGINT:
            self._interrupted_at = time.monotonic()
            if not self._is_told:  # SIGTERM may have interrupted this handler
                return
        self._is_told = True
        if time.monotonic() - self._interrupted_at < GRACE:
            self._stop.request()
        self._stop.receive(number, frame)

    def _receive_late(self) -> None:
        """Handle a SIGTERM that has come too early for the other handler."""
        if not self._is_told:
            self._receive(signal.SIGTERM)

    def is_starting(self) -> bool:
        return not self._protocol.event_startup.is_set()

    def interrupt_startup(self) -> None:
        self.stop_listening()  # else granian would serve without a lifespan
        self.abandon()

    def stop_listening(self) -> None:
        event, self._shutdown_event = self._shutdown_event, None
        if event is not None:
            event.set()

    def requests(self) -> Collection[asyncio.Task[Any]]:
        try:
            return [call.task for call in calls(*REQUEST)]
        except RuntimeError:  # --task-impl rust, before Python 3.12: no task can be found
            return []

    def disconnect(self) -> None:
        requests = self.requests()
        for view in calls(*VIEW) if requests else ():
            if view.task not in requests:
                view.task.cancel()

    def abandon(self) -> None:
        self._task.cancel()


def _wake_up() -> None:
    """Let Python call the handler of an OS signal that another thread got."""
