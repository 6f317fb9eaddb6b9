"""The gunicorn worker with uvicorn inside."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Collection, Generator
from typing import Any, cast

from gunicorn.workers.base import Worker
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker  # pyright: ignore[reportMissingTypeStubs]

from django_asgi_lifespan.driver import Application
from django_asgi_lifespan.protocol import Receive, Scope, Send, speak_lifespan
from django_asgi_lifespan.state import announce_stopping

from .worker import LifespanWorkerBase

__all__ = ("LifespanServer", "LifespanWorker")


class LifespanServer(Server):
    """uvicorn's server, inside a lifespan and under OS signals that the worker looks after.

    Args:
        config: with ``lifespan="off"``.
        state: what every request gets a copy of.
        worker: learns that the server stops when it does so by itself, for ``max_requests``.
    """

    def __init__(self, config: Config, *, state: dict[str, Any], worker: Worker) -> None:
        super().__init__(config)
        self._state = state
        self._worker = worker

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. The state goes to the connections by way of uvicorn's ``LifespanOff``."""
        self.lifespan.state = self._state
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and drain."""
        self._worker.alive = False
        announce_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the OS signals alone: uvicorn would raise them again when it has stopped."""
        yield


class LifespanWorker(LifespanWorkerBase, UvicornWorker):  # pyright: ignore[reportIncompatibleVariableOverride]
    """uvicorn's worker for gunicorn, which opens the lifespan first and closes it always."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.config.lifespan = "off"
        self.config.timeout_notify = 0  # notify() looks after the arbiter too, once a second
        self._server: LifespanServer | None = None

    def application(self) -> Application:
        """Return the application, for its lifespan; one without, where it cannot be imported.

        Under ``--reload`` gunicorn goes on after a syntax error and waits for the next change.
        """
        if self.app.callable is None:
            return _nothing
        return cast("Application", self.wsgi)

    async def serve(self, state: dict[str, Any]) -> None:
        """Serve requests by uvicorn."""
        self.config.app = self.wsgi
        self._server = LifespanServer(self.config, state=state, worker=self)
        await self._server.serve(sockets=self.sockets)

    def is_serving(self) -> bool:
        """Return whether uvicorn listens, or did."""
        return self._server is not None and self._server.started

    def drain(self, serving: asyncio.Task[None]) -> None:
        """Let uvicorn stop: it closes WebSockets with 1012 and waits for responses."""
        if self._server is not None:
            self._server.should_exit = True

    def requests(self) -> Collection[asyncio.Task[Any]]:
        """Return uvicorn's tasks."""
        return () if self._server is None else set(self._server.server_state.tasks)

    def disconnect(self) -> None:
        """Drop the connections."""
        if self._server is not None:
            for connection in set(self._server.server_state.connections):
                connection.transport.abort()


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Have a lifespan with nothing in it."""
    await speak_lifespan(receive, send, contextlib.nullcontext())
