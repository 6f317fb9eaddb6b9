"""The answers and the log lines of an application whose lifespan is missing or has failed."""

from __future__ import annotations

import logging

from .causes import why_not_passed_on
from .last_resort import log
from .lifespan import registered
from .lifespans import lifespans
from .protocol import Receive, Scope, Send

__all__ = ("fail_without_asyncio", "refuse", "tell_that_nothing_was_opened")

logger = logging.getLogger("django_asgi_lifespan")


def tell_that_nothing_was_opened(scope: Scope) -> None:
    """Say why no lifespan was started before this request, if anything was to be started."""
    names = registered()
    if names:
        lifespans.cause = why_not_passed_on(scope)
        log(
            logger,
            logging.ERROR,
            "Requests arrive, but the server has not started the lifespan, so nothing was opened: "
            "%s. %s [lifespan-not-started]",
            names,
            lifespans.cause,
        )


async def fail_without_asyncio(receive: Receive, send: Send) -> None:
    """Fail the startup in an event loop that is not of asyncio, such as trio's."""
    reason = (
        "Django runs on asyncio alone, because asgiref does, and this worker runs another event "
        "loop. Choose a worker class that runs asyncio (hypercorn: --worker-class asyncio or "
        "uvloop, not trio). [lifespan-no-asyncio]"
    )
    log(logger, logging.ERROR, reason)
    await receive()
    await send({"type": "lifespan.startup.failed", "message": reason})


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503, or close a WebSocket with 1013, "try again later"."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013, "reason": "Not running."})
        return
    body = b"Service unavailable: the application has not started up. Its log says why.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
