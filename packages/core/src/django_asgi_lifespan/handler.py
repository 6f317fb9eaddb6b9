"""Django's ASGI handler with the lifespan protocol: sends each scope where it belongs."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import Any, cast

from django.apps import apps
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.utils.functional import cached_property

from . import state
from .project import ProjectLifespan, discover, registered
from .protocol import Receive, Scope, Send, speak_lifespan
from .state import Phase

__all__ = ("LifespanASGIHandler", "LifespanASGIRequest", "LifespanGate")

logger = logging.getLogger("django_asgi_lifespan")


class LifespanASGIRequest(ASGIRequest):
    """Django's request with ``state``: the shallow copy of the lifespan's state it came with."""

    @cached_property
    def state(self) -> dict[str, Any]:
        """What the application put into the state at startup, by name."""
        return cast("dict[str, Any]", self.scope["state"])


class LifespanASGIHandler(ASGIHandler):
    """Django's ASGI handler that also speaks lifespan; HTTP is handled by Django as ever."""

    request_class = LifespanASGIRequest

    def __init__(self) -> None:
        super().__init__()
        self._gate = LifespanGate()
        if apps.ready:
            discover()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope: ``lifespan`` here, anything else by Django's own handler."""
        if self._gate.is_open and scope["type"] == "http":
            await super().__call__(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._gate.run_lifespan(scope, receive, send)
        elif await self._gate.admits(scope, receive, send):
            await super().__call__(scope, receive, send)


class LifespanGate:
    """Runs the lifespans of one application, and keeps requests out while none has completed.

    Attributes:
        is_open: requests need nothing from here: every lifespan of the application that was
            begun is running, and the server puts a ``state`` into each request itself.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._latest: ProjectLifespan | None = None
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ProjectLifespan] = (
            weakref.WeakKeyDictionary()
        )
        self._warned = False

    async def run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a lifespan scope from its startup to its shutdown."""
        loop = asyncio.get_running_loop()
        self._latest = self._by_loop[loop] = lifespan = ProjectLifespan(scope)
        self.is_open = False
        try:
            await speak_lifespan(receive, send, lifespan)
        finally:
            self.is_open = False

    async def admits(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Return whether the request may be served, with a ``state`` in its scope; else answer it.

        It may not while the lifespan is starting, or after one that failed to start, whatever the
        server makes of the failure: several serve all the same.
        """
        loop = asyncio.get_running_loop()
        latest = self._by_loop.get(loop, self._latest)
        if latest is None:
            self._warn_once()
        elif latest.lifespan.phase in (Phase.STARTING, Phase.FAILED):
            await _refuse(scope, receive, send)
            return False
        if "state" not in scope:
            running = state.running.get(loop)
            scope["state"] = running[-1].state.copy() if running else {}
        else:
            self.is_open = all(
                begun.lifespan.phase is Phase.RUNNING for begun in self._by_loop.values()
            ) and bool(self._by_loop)
        return True

    def _warn_once(self) -> None:
        """Say once that the server has started no lifespan, if anything was to be started."""
        if not self._warned:
            self._warned = True
            what = registered()
            if what:
                logger.error(
                    "Requests arrive, but the server has not started the lifespan, so nothing "
                    "was opened: %s. Run a server that speaks the lifespan protocol, and do not "
                    "switch it off (uvicorn: --lifespan on).",
                    what,
                )


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503, or close a WebSocket with 1013, "try again later"."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013, "reason": "Starting, or failed to."})
        return
    body = b"Service unavailable: the application has not started up. Its log says why.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
