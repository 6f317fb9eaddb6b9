"""What stands before an application: its lifespans, and what they mean for its requests."""

from __future__ import annotations

import asyncio
import functools
import logging
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from . import state

if TYPE_CHECKING:  # what only a lifespan or a WebSocket needs is loaded when one begins
    from .project import ProjectLifespan
    from .protocol import Application, Receive, Scope, Send
    from .sockets import OpenSockets
    from .state import Lifespan

__all__ = ("LifespanGate",)

logger = logging.getLogger("django_asgi_lifespan")


class LifespanGate:
    """Runs the lifespans of one application, and keeps requests out while none has completed.

    Attributes:
        is_open: HTTP requests need nothing from here: every lifespan of the application that was
            begun is running, and the server puts a ``state`` into each request itself.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._latest: ProjectLifespan | None = None
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ProjectLifespan] = (
            weakref.WeakKeyDictionary()
        )
        self._warned = False

    @functools.cached_property
    def _sockets(self) -> OpenSockets:
        from .sockets import OpenSockets

        return OpenSockets()

    async def serve(
        self, outermost: Any, application: Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one scope: ``lifespan`` for *outermost* here, what is admitted by *application*."""
        if scope["type"] == "lifespan":
            loop = _find_loop()
            if loop is None:
                await _fail_without_asyncio(receive, send)
            else:
                await self._run_lifespan(loop, outermost, scope, receive, send)
        elif await self._admits(scope, receive, send):
            if scope["type"] == "websocket":
                socket = self._sockets.add(receive, send)
                try:
                    await application(scope, socket.receive, socket.send)
                finally:
                    self._sockets.remove(socket)
            else:
                await application(scope, receive, send)

    async def _run_lifespan(
        self,
        loop: asyncio.AbstractEventLoop,
        outermost: Any,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        from .project import ProjectLifespan
        from .protocol import speak_lifespan

        adapters = ExitStack()
        lifespan = ProjectLifespan(
            scope,
            adapters=adapters,
            application=outermost,
            receive=receive,
            close_websockets=self._sockets.close,
        )
        self._latest = self._by_loop[loop] = lifespan
        self.is_open = False
        try:
            with adapters:
                await speak_lifespan(receive, send, lifespan)
        finally:
            self.is_open = False

    async def _admits(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Return whether the request may be served, with a ``state`` in its scope; else answer it.

        It may not while the lifespan is starting, or after one that failed to start, whatever the
        server makes of the failure: several serve all the same.
        """
        loop = asyncio.get_running_loop()
        latest = self._by_loop.get(loop, self._latest)
        if latest is None:
            self._warn_once()
        elif _is_closed(latest.lifespan, scope["type"]):
            await _refuse(scope, receive, send)
            return False
        if "state" not in scope:
            running = state.running.get(loop)
            scope["state"] = running[-1].state.copy() if running else {}
        elif latest is not None:
            self.is_open = all(
                begun.lifespan.phase == "running" for begun in self._by_loop.values()
            )
        return True

    def _warn_once(self) -> None:
        """Say once that the server has started no lifespan, if anything was to be started.

        Where another application of this process has one, this one stands behind it.
        """
        if self._warned or state.was_begun():
            return
        self._warned = True
        from .project import registered

        what = registered()
        if what:
            logger.error(
                "Requests arrive, but the server has not started the lifespan, so nothing "
                "was opened: %s. Run a server that speaks the lifespan protocol, and do not "
                "switch it off (uvicorn: --lifespan on, granian: --interface asgi).",
                what,
            )


def _is_closed(lifespan: Lifespan, scope_type: str) -> bool:
    """Return whether *lifespan* keeps requests of this type out.

    From the notice of the stop on, open WebSockets are being closed, and nobody would tell a new
    one.
    """
    if scope_type == "websocket" and lifespan.stopping.is_set():
        return lifespan.phase != "stopped"
    return scope_type in ("http", "websocket") and lifespan.phase in ("starting", "failed")


def _find_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _fail_without_asyncio(receive: Receive, send: Send) -> None:
    """Fail the startup in an event loop that is not of asyncio, such as trio's."""
    reason = (
        "Django runs on asyncio alone, because asgiref does, and this worker runs another event "
        "loop. Choose a worker class that runs asyncio (hypercorn: --worker-class asyncio or "
        "uvloop, not trio)."
    )
    logger.error(reason)
    await receive()
    await send({"type": "lifespan.startup.failed", "message": reason})


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503, or close a WebSocket with 1013, "try again later"."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013, "reason": "Not running."})
        return
    body = b"Service unavailable: the application has not started up. Its log says why.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
