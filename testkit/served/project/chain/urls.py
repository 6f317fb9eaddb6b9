"""Views that use the last resource of the chain, by itself and through the request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from django_asgi_lifespan import stopping
from testkit import gates, journal

from .lifespan import search


async def async_view(request: HttpRequest) -> JsonResponse:
    """Answer in the event loop."""
    return answer(request)


def sync_view(request: HttpRequest) -> JsonResponse:
    """Answer in a thread."""
    return answer(request)


async def held_view(request: HttpRequest) -> JsonResponse:
    """Answer when the test says so."""
    await gates.hold("request")
    return answer(request)


async def stream_view(request: HttpRequest) -> StreamingHttpResponse:
    """Answer with a first line, and a last one when told of the stop; ``?deaf`` never ends."""

    async def lines() -> AsyncIterator[str]:
        journal.write("stream", "open")
        try:
            yield "first\n"
            await (asyncio.Event().wait() if "deaf" in request.GET else stopping())
            journal.write("stream", "told")
            yield "last\n"
        finally:
            await asyncio.sleep(0)  # it takes a moment to clean up
            journal.write("stream", f"closed with {search.get()}")

    return StreamingHttpResponse(lines())


def stuck_view(request: HttpRequest) -> JsonResponse:
    """Never answer, in a thread that nothing can stop."""
    journal.write("request", "stuck")
    threading.Event().wait()
    return answer(request)


def answer(request: HttpRequest) -> JsonResponse:
    """Return what the resource and the request have to offer."""
    content = {"get": search.get(), "state": request.state["search"]}  # type: ignore[attr-defined]
    journal.write("request", "answered")
    return JsonResponse(content)


urlpatterns = [
    path("async/", async_view),
    path("sync/", sync_view),
    path("held/", held_view),
    path("stream/", stream_view),
    path("stuck/", stuck_view),
]
