"""The same application, with the messages of its lifespan in the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from testkit import journal

from . import asgi

Message = MutableMapping[str, Any]


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Pass everything on to the project's application."""
    if scope["type"] != "lifespan":
        await asgi.application(scope, receive, send)
        return

    async def watched_receive() -> Message:
        message = await receive()
        journal.write("server", message["type"])
        return message

    async def watched_send(message: Message) -> None:
        journal.write("application", message["type"])
        await send(message)

    await asgi.application(scope, watched_receive, watched_send)
