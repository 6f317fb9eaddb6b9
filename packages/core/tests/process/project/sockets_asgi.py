"""An ASGI application of the project that has WebSockets too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django_asgi_lifespan.asgi import LifespanApplication

from . import asgi, journal


async def router(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Leave HTTP to Django, and keep WebSockets open until they are closed from outside."""
    if scope["type"] == "http":
        await asgi.application(scope, receive, send)
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    journal.write("socket", "open")
    message = await receive()
    journal.write("socket", f"{message['type']} {message.get('code')}")


application = LifespanApplication(router)
