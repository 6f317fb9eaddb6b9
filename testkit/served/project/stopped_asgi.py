"""The same application, whose process is told to stop when its startup is complete."""

from __future__ import annotations

import os
import signal
from typing import Any

from . import asgi


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Pass everything on to the project's application."""

    async def stopped_send(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            os.kill(os.getpid(), signal.SIGTERM)
        await send(message)

    await asgi.application(scope, receive, stopped_send)
