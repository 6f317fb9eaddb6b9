"""Two pages, an async one and a sync one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path


async def index(request: HttpRequest) -> HttpResponse:
    """Use the client in the event loop."""
    request.state["client"]()  # type: ignore[attr-defined]
    return HttpResponse("content of /")


def sync(request: HttpRequest) -> HttpResponse:
    """Use the client in a thread."""
    request.state["client"]()  # type: ignore[attr-defined]
    return HttpResponse("content of /sync/")


urlpatterns = [path("", index), path("sync/", sync)]
