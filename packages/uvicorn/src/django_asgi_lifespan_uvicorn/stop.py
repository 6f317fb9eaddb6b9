"""The orderly stop of a process of uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Collection, Generator
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import HANDLED_SIGNALS

from django_asgi_lifespan.adapters import (
    POLL,
    Deadlines,
    Stop,
    calls,
    handle_os_signals,
    log,
    stop_signals,
    variables_on_stack,
)

__all__ = ("logger", "orderly_stop", "starting_server")

logger = logging.getLogger("uvicorn.error")  # the one that uvicorn's log configuration shows


def starting_server() -> uvicorn.Server | None:
    """Return the server whose ``run()`` runs this event loop, while its application starts up.

    A program that runs ``serve()`` in an event loop of its own has no such server.
    """
    variables = variables_on_stack(uvicorn.Server.run)
    if variables is None or not _is_starting(server := variables["self"]):
        return None
    others = [call.variables["self"] for call in calls("uvicorn.server", "Server.serve")]
    if any(other is not server and _is_starting(other) for other in others):
        log(
            logger,
            logging.WARNING,
            "The adapter for uvicorn is off: two servers start in this event loop at the same "
            "time. Start the second one when the first has started. [lifespan-two-servers]",
        )
        return None
    return cast("uvicorn.Server", server)


def _is_starting(server: uvicorn.Server) -> bool:
    lifespan = getattr(server, "lifespan", None)
    return isinstance(lifespan, LifespanOn) and not lifespan.startup_event.is_set()


@contextlib.contextmanager
def orderly_stop(server: uvicorn.Server) -> Generator[Stop]:
    """Stop *server* in an orderly way, whatever tells it to. Enter it before the startup.

    uvicorn itself skips the lifespan's shutdown when SIGINT comes after any other stop
    (uvicorn/server.py:310, uvicorn/server.py:353), even 20 ms later.
    """
    stopped = StoppedServer(server)
    stop = Stop(
        stopped,
        Deadlines(server.config.timeout_graceful_shutdown),
        option="--timeout-graceful-shutdown",
        logger=logger,
        # Nobody waits for a proxy while developing.
        delays=not server.config.should_reload and getattr(server, "delays", True),
    )

    def receive(number: int, frame: FrameType | None) -> None:
        stopped.note(number)
        stop.receive(number, frame)

    async def watch() -> None:
        """Begin the stop where uvicorn has begun it: a program, or its limit of requests."""
        while stopped.is_needed():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(POLL)
        stop.request()

    with handle_os_signals(stop_signals(), receive), stop.beside(server, watch()):
        try:
            yield stop
        finally:
            server.should_exit |= stop.has_begun


class StoppedServer:
    """A server of uvicorn, as `Stop` sees it."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._os_signals: list[int] = []
        self._server = server

    def note(self, number: int) -> None:
        """Note an OS signal for uvicorn, which raises it once more at its end.

        A program around the server may rely on that (uvicorn/server.py:349).
        """
        is_later_ctrl_c = number == signal.SIGINT and self._os_signals
        if number in HANDLED_SIGNALS and not is_later_ctrl_c:
            self._os_signals.append(number)
            if self._server.should_exit:
                self._server.handle_exit(number, None)

    def is_needed(self) -> bool:
        """Return whether uvicorn goes on to start up or to serve."""
        server = self._server
        if server.should_exit or not server.started:
            return not server.should_exit
        return any(each.is_serving() for each in server.servers)

    def is_starting(self) -> bool:
        return _is_starting(self._server)

    def interrupt_startup(self) -> None:
        lifespan = self._server.lifespan
        # Else uvicorn would take the cancellation for an application without a lifespan.
        lifespan.startup_failed = True
        for call in calls("uvicorn.lifespan.on", "LifespanOn.main"):
            if call.variables["self"] is lifespan:
                call.task.cancel()

    def stop_listening(self) -> None:
        for number in self._os_signals:
            self._server.handle_exit(number, None)
        self._server.should_exit = True
        self._server.force_exit = False

    def requests(self) -> Collection[asyncio.Task[Any]]:
        return self._server.server_state.tasks

    def disconnect(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    def abandon(self) -> None:
        self._server.server_state.tasks.clear()
