"""The same application, whose process is told to stop when its startup is complete."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from . import asgi

Message = MutableMapping[str, Any]


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Pass everything on to the project's application."""

    async def stopped_send(message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            os.kill(os.getpid(), signal.SIGTERM)
        await send(message)

    await asgi.application(scope, receive, stopped_send)
