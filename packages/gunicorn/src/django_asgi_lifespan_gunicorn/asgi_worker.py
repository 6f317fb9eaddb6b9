"""The gunicorn worker with gunicorn's own ASGI server inside."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection, Coroutine
from typing import Any, cast

from gunicorn.workers.gasgi import ASGIWorker

from django_asgi_lifespan.adapters import POLL, Application, Call, calls

from .worker import LifespanWorkerBase

__all__ = ("NativeLifespanWorker",)

BASE: Any = ASGIWorker  # whose private methods its types do not have
HTTP = "gunicorn.asgi.protocol"


class NativeLifespanWorker(LifespanWorkerBase, ASGIWorker):  # pyright: ignore[reportIncompatibleVariableOverride]
    """gunicorn's ASGI worker, which opens the lifespan first and closes it always."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_draining = False

    def init_process(self) -> None:
        """Run the worker, without the lifespan of gunicorn's own."""
        self.cfg.set("asgi_lifespan", "off")
        super().init_process()

    def application(self) -> Application:
        """Return the application, for its lifespan."""
        return self.asgi

    async def serve(self, state: dict[str, Any]) -> None:
        """Serve requests by gunicorn's own means, until ``alive`` is False or a cancellation."""
        self.state = state
        await BASE._serve(self)

    def is_serving(self) -> bool:
        """Return whether gunicorn listens, or did."""
        return bool(self.servers)

    def stop_listening(self) -> None:
        """Wake gunicorn from the second that it sleeps."""
        if self._serving is not None and not self._is_draining:
            self._serving.cancel()

    async def _shutdown(self) -> None:
        """Stop listening and wait for the requests, not for connections without one."""
        self._is_draining = True
        closing = asyncio.ensure_future(_close_idle_connections())
        try:
            await BASE._shutdown(self)
        finally:
            closing.cancel()

    def requests(self) -> Collection[asyncio.Task[Any]]:
        """Return the tasks that have called the application."""
        return {call.task for call in _requests()}

    def disconnect(self) -> None:
        """Drop the connections of the requests, whose applications then receive a disconnect."""
        for call in _requests():
            call.variables["self"].transport.abort()


def _requests() -> list[Call]:
    """Return the calls of gunicorn that have called the application.

    An account of each request would take a twentieth of the throughput.
    """
    http = ("ASGIProtocol._handle_http_request", "ASGIProtocol._handle_http2_request")
    return [*calls(HTTP, *http), *calls("gunicorn.asgi.websocket", "WebSocketProtocol.run")]


async def _close_idle_connections() -> None:
    """Close every connection that has no request, for which gunicorn would wait.

    A cancelled connection closes itself, unless a whole request has come meanwhile. One that has
    not begun yet would not, and gets its turn first.
    """
    connections = ("ASGIProtocol._handle_connection", "ASGIProtocol._handle_http2_connection")
    while True:
        busy = {each for call in _requests() for each in (call.task, call.variables["self"])}
        for task, variables in calls(HTTP, *connections):
            ready: asyncio.Event | None = variables["self"]._request_ready
            is_idle = not busy & {task, variables["self"]} and not (ready and ready.is_set())
            coroutine = cast("Coroutine[Any, Any, Any]", task.get_coro())
            if is_idle and inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED:
                task.cancel()
        await asyncio.sleep(POLL)
