"""Views that use the resource, never end, or end the server."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from testkit import gates, journal

from .lifespan import hub


async def use(request: Any) -> JsonResponse:
    """Answer with the resource, by itself and in the state."""
    return JsonResponse({"get": hub.get(), "state": request.scope["state"]["hub"]})


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Answer with a first line, and wait for more until the client has gone."""

    async def lines() -> AsyncIterator[str]:
        try:
            yield "first\n"
            await gates.hold("stream")
        finally:
            journal.write("stream", f"closed with {hub.get()}")

    return StreamingHttpResponse(lines())


async def stop(request: HttpRequest) -> JsonResponse:
    """End the server from inside."""
    from twisted.internet import reactor

    reactor.stop()  # type: ignore[attr-defined]
    return JsonResponse({"stop": True})


def stuck(request: HttpRequest) -> JsonResponse:
    """Never answer, in a thread that nothing can stop."""
    journal.write("request", "stuck")
    threading.Event().wait()
    return JsonResponse({})


urlpatterns = [
    path("use/", use),
    path("stream/", stream),
    path("stop/", stop),
    path("stuck/", stuck),
]
