"""gunicorn's own ASGI worker."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, cast

from gunicorn.asgi.protocol import BodyReceiver
from gunicorn.workers.gasgi import ASGIWorker

from django_asgi_lifespan.driver import Application
from django_asgi_lifespan.state import close_websockets

from .worker import LifespanWorkerBase

__all__ = ("NativeLifespanWorker",)

# What is used of gunicorn's worker beside its public methods: gunicorn/workers/gasgi.py, 27.0.1.
# Of asgi/protocol.py, line 406: ``BodyReceiver.signal_disconnect()``; its method is ``receive``.
SERVE = vars(ASGIWorker)["_serve"]
"""Line 161, called by ``run()``: serves until ``alive`` is False; cancelled, it begins to stop."""
SHUTDOWN = vars(ASGIWorker)["_shutdown"]
"""Line 228, called by ``_serve()``: stops listening and waits for the connections."""


class NativeLifespanWorker(LifespanWorkerBase, ASGIWorker):  # pyright: ignore[reportIncompatibleVariableOverride]
    """gunicorn's ASGI worker, which opens the lifespan first and closes it always."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._draining = False

    def init_process(self) -> None:
        """Run the worker, without the lifespan of gunicorn's own."""
        self.cfg.set("asgi_lifespan", "off")
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and know its requests from then on."""
        super().load_wsgi()
        self._in_flight = _InFlight(self.asgi)
        self.asgi = self._in_flight

    def application(self) -> Application:
        """Return the application, for its lifespan."""
        return self._in_flight.application

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
        return set(self._in_flight.receives)

    def disconnect(self) -> None:
        """Let the requests receive that the client has gone."""
        for receive in set(self._in_flight.receives.values()):
            receiver = getattr(receive, "__self__", None)
            if isinstance(receiver, BodyReceiver):
                receiver.signal_disconnect()


class _InFlight:
    """An application that knows the tasks that it is called in, and what each receives from."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.receives: dict[asyncio.Task[Any], Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.receives[task] = receive
        try:
            await self.application(scope, receive, send)
        finally:
            del self.receives[task]
