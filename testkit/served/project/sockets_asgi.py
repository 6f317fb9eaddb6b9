"""Django behind a router that takes the WebSockets, as that of Channels does."""

from __future__ import annotations

from typing import Any

from django.core.asgi import get_asgi_application

from django_asgi_lifespan.asgi import LifespanApplication
from testkit import journal

django = get_asgi_application()


async def router(scope: Any, receive: Any, send: Any) -> None:
    """Accept a WebSocket, say what the state holds, and wait for it to be closed."""
    if scope["type"] != "websocket":
        await django(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["state"]["hub"]})
    message = await receive()
    journal.write("socket", message["type"])


application = LifespanApplication(router)
