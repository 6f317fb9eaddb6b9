"""The gunicorn worker with uvicorn inside."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker  # pyright: ignore[reportMissingTypeStubs]

from django_asgi_lifespan.adapters import Application, Receive, Scope, Send, speak_lifespan

from .stop import UvicornRequests
from .worker import LifespanWorkerBase

__all__ = ("LifespanServer", "LifespanWorker")


class LifespanServer(Server):
    """uvicorn's server, inside a lifespan and under OS signals that the worker looks after.

    Args:
        config: with ``lifespan="off"``.
        worker: learns that the server stops when it does so by itself, for ``max_requests``.
    """

    def __init__(self, config: Config, worker: LifespanWorkerBase) -> None:
        super().__init__(config)
        self.state: dict[str, Any] = {}  # of which every request gets a copy
        self._worker = worker

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. The state goes to the connections by way of uvicorn's ``LifespanOff``."""
        self.lifespan.state = self.state
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and drain."""
        self._worker.alive = False
        self._worker.announce_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the OS signals alone: uvicorn would raise them again when it has stopped."""
        yield


class LifespanWorker(UvicornRequests, LifespanWorkerBase, UvicornWorker):  # pyright: ignore[reportIncompatibleVariableOverride]
    """uvicorn's worker for gunicorn, which opens the lifespan first and closes it always."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.config.lifespan = "off"
        self.config.timeout_notify = 0  # notify() looks after the arbiter too, once a second

    def application(self) -> Application:
        """Return the application as uvicorn serves it, a factory called, for its lifespan.

        One that cannot be imported has none: under ``--reload`` gunicorn goes on after a syntax
        error and waits for the next change.
        """
        self._server = LifespanServer(self.config, self)
        self.config.app = self.wsgi
        if self.app.callable is None:
            return _nothing
        self.config.load()
        return cast("Application", vars(self.config)["loaded_app"])

    async def serve(self, state: dict[str, Any]) -> None:
        """Serve requests by uvicorn."""
        self._server.state = state
        await self._server.serve(sockets=self.sockets)

    def is_serving(self) -> bool:
        """Return whether uvicorn listens, or did."""
        return self._server is not None and self._server.started


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Have a lifespan with nothing in it."""
    await speak_lifespan(receive, send, contextlib.nullcontext())
