"""Views that use the last resource of the chain, by itself and through the request."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path
from project import journal

from .lifespan import search


async def async_view(request: HttpRequest) -> JsonResponse:
    """Answer in the event loop."""
    return answer(request)


def sync_view(request: HttpRequest) -> JsonResponse:
    """Answer in a thread."""
    return answer(request)


async def held_view(request: HttpRequest) -> JsonResponse:
    """Answer when the test says so."""
    await journal.hold("request")
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
]
