"""Django's ASGI handler with the lifespan protocol."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.handlers.asgi import ASGIHandler, ASGIRequest

from .gate import LifespanGate
from .registry import discover

if TYPE_CHECKING:
    from .protocol import Receive, Scope, Send

__all__ = ("LifespanASGIHandler", "LifespanASGIRequest", "close_websocket")

logger = logging.getLogger("django_asgi_lifespan")


class LifespanASGIRequest(ASGIRequest):
    """Django's request with ``state``: the shallow copy of the lifespan's state it came with."""

    _state: dict[str, Any] | None = None

    # A cached_property, which stores it in the request, takes longer than two looks at the scope.
    @property
    def state(self) -> dict[str, Any]:
        """The values that the application put into the state at startup, by name."""
        state: dict[str, Any] = self.scope["state"] if self._state is None else self._state
        return state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._state = state


class LifespanASGIHandler(ASGIHandler):
    """Django's ASGI handler that also speaks lifespan. Django handles HTTP as ever."""

    request_class = LifespanASGIRequest

    def __init__(self) -> None:
        super().__init__()
        self._gate = LifespanGate()
        if apps.ready:
            # An import of this module does without:
            from .adapters.discovery import application_made

            discover()
            application_made(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope: HTTP and unknown types by Django's own handler, the rest here."""
        if self._gate.is_open and scope["type"] == "http":
            await super().__call__(scope, receive, send)
        else:
            django = super().__call__
            await self._gate.serve(
                self,
                close_websocket if scope["type"] == "websocket" else django,
                scope,
                receive,
                send,
            )


async def close_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket, which Django cannot handle: it would raise, and the server answer 500."""
    logger.warning(
        "A WebSocket for %s was refused: Django handles HTTP alone. Put LifespanApplication around "
        "a router that sends WebSockets elsewhere. [lifespan-websocket]",
        scope.get("path", "an unknown path"),
    )
    await receive()
    await send({"type": "websocket.close"})
