"""Django behind a router that accepts a WebSocket when the test says so."""

from __future__ import annotations

from typing import Any

from django.core.asgi import get_asgi_application

from django_asgi_lifespan.asgi import LifespanApplication
from testkit import gates, journal

django = get_asgi_application()


async def router(scope: Any, receive: Any, send: Any) -> None:
    """Accept a WebSocket late, and wait for it to be closed."""
    if scope["type"] != "websocket":
        await django(scope, receive, send)
        return
    await receive()
    await gates.hold("socket")
    await send({"type": "websocket.accept"})
    message = await receive()
    journal.write("socket", message["type"])


application = LifespanApplication(router)
"""The lifespan is the project's."""
