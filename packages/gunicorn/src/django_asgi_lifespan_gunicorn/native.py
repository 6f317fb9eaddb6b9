"""gunicorn's own ASGI worker."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol, BodyReceiver
from gunicorn.asgi.websocket import WebSocketProtocol
from gunicorn.workers.gasgi import ASGIWorker

from django_asgi_lifespan.driver import Application
from django_asgi_lifespan.state import close_websockets

from .worker import LifespanWorkerBase

__all__ = ("NativeLifespanWorker",)

# What is used of gunicorn's worker beside its public methods, in 27.0.1.
SERVE = vars(ASGIWorker)["_serve"]
"""Called by ``run()``: serves until ``alive`` is False. Cancelled, it stops.

workers/gasgi.py:161
"""
SHUTDOWN = vars(ASGIWorker)["_shutdown"]
"""Called by ``_serve()``: stops listening, waits for the connections (workers/gasgi.py:228)."""
CALLERS = frozenset(
    vars(owner)[name].__code__
    for owner, name in (
        (ASGIProtocol, "_handle_http_request"),  # gunicorn/asgi/protocol.py:1900
        (ASGIProtocol, "_handle_http2_request"),  # gunicorn/asgi/protocol.py:2714
        (WebSocketProtocol, "run"),  # gunicorn/asgi/websocket.py:173
    )
)
"""What awaits the application. The first one calls what its ``BodyReceiver`` has as receive."""


class NativeLifespanWorker(LifespanWorkerBase, ASGIWorker):  # pyright: ignore[reportIncompatibleVariableOverride]
    """gunicorn's ASGI worker, which opens the lifespan first and closes it always."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._draining = False

    def init_process(self) -> None:
        """Run the worker, without the lifespan of gunicorn's own."""
        self.cfg.set("asgi_lifespan", "off")
        super().init_process()

    def application(self) -> Application:
        """Return the application, for its lifespan."""
        return self.asgi

    async def serve(self, state: dict[str, Any]) -> None:
        """Serve requests by gunicorn's own means."""
        self.state = state
        await SERVE(self)

    def is_serving(self) -> bool:
        """Return whether gunicorn listens, or did."""
        return bool(self.servers)

    def drain(self, serving: asyncio.Task[None]) -> asyncio.Task[None]:
        """Wake gunicorn from the second that it sleeps; close the WebSockets, which it forgets."""
        if not self._draining:
            serving.cancel()
        return asyncio.create_task(close_websockets())

    async def _shutdown(self) -> None:
        self._draining = True
        await SHUTDOWN(self)

    def requests(self) -> Collection[asyncio.Task[Any]]:
        """Return the tasks that have called the application."""
        return _calls().keys()

    def disconnect(self) -> None:
        """Let the requests receive that the client has gone."""
        for variables in _calls().values():
            receiver = variables.get("body_receiver")
            if isinstance(receiver, BodyReceiver):
                receiver.signal_disconnect()


def _calls() -> dict[asyncio.Task[Any], dict[str, Any]]:
    """Return the tasks that await the application, and the variables of what calls it there.

    Whoever keeps account of each request, instead of looking when the worker stops, takes a
    twentieth of the throughput.
    """
    found: dict[asyncio.Task[Any], dict[str, Any]] = {}
    for task in asyncio.all_tasks():
        awaited: Any = task.get_coro()
        while inspect.iscoroutine(awaited):
            frame = awaited.cr_frame
            if frame is not None and frame.f_code in CALLERS:
                found[task] = frame.f_locals
            awaited = awaited.cr_await
    return found
