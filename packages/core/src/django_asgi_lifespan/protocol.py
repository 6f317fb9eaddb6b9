"""The application side of the lifespan protocol, version 2.0: messages in, messages out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from .errors import LifespanProtocolError, ShutdownFailedError, StartupFailedError

__all__ = ("Application", "Message", "Receive", "Scope", "Send", "speak_lifespan")

# Each library has types of its own for scopes and messages: Starlette a mutable mapping, asgiref a
# union of typed dictionaries. With Any, their applications and ours can be passed to each other.
Scope = Any
Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


async def speak_lifespan(
    receive: Receive, send: Send, lifespan: AbstractAsyncContextManager[Any, bool | None]
) -> None:
    """Enter *lifespan* at ``lifespan.startup``, exit it at ``lifespan.shutdown``, answer each.

    A StartupFailedError or ShutdownFailedError becomes the ``failed`` message, and this function
    returns. If ``receive`` or ``send`` raises in between, or this task is cancelled, *lifespan* is
    exited before the exception leaves this function. A failed phase raises no exception to the
    server: the message ends every server that was measured, while an exception makes most of them
    serve without a lifespan.

    Raises:
        LifespanProtocolError: the server sent any other message.
    """
    await _expect("lifespan.startup", receive)
    try:
        async with lifespan:
            await send({"type": "lifespan.startup.complete"})
            await _expect("lifespan.shutdown", receive)
    except StartupFailedError as failure:
        await send({"type": "lifespan.startup.failed", "message": str(failure)})
    except ShutdownFailedError as failure:
        await send({"type": "lifespan.shutdown.failed", "message": str(failure)})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def _expect(expected: str, receive: Receive) -> None:
    message = await receive()
    if message["type"] != expected:
        raise LifespanProtocolError(
            f"The server sent {message['type']!r} where the lifespan protocol has {expected!r}. "
            f"The server is wrong, or an application in front of this one. [lifespan-protocol]"
        )
