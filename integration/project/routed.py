"""The project's application behind a router that sends WebSockets to a consumer of its own."""

from __future__ import annotations

import json
import os
from typing import Any

from behaviour import SETUP
from django.core.asgi import get_asgi_application

from testkit import journal

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django = get_asgi_application()


async def _route(scope: Any, receive: Any, send: Any) -> None:
    await (_consume if scope["type"] == "websocket" else django)(scope, receive, send)


async def _consume(scope: Any, receive: Any, send: Any) -> None:
    """Send the names in the state, then echo until the end."""
    await receive()
    await send({"type": "websocket.accept"})
    journal.write("websocket", "open")
    state = sorted(scope["state"]) if "state" in scope else None
    await send({"type": "websocket.send", "text": json.dumps(state)})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
    journal.write("websocket", "closed")


if SETUP == "stock":
    application = _route
else:
    from django_asgi_lifespan.asgi import LifespanApplication

    application = LifespanApplication(_route)
