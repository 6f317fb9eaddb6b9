"""The views and the middleware of some of the tests, and their addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import sync_only_middleware

PROJECT = __name__
MIDDLEWARE = "django_asgi_lifespan.middleware.LifespanStateMiddleware"
SYNC_MIDDLEWARE = f"{__name__}.sync_middleware"


async def show_state(request: HttpRequest) -> JsonResponse:
    """Answer with the state as text, and leave something in it."""
    found = {key: str(value) for key, value in request.state.items()}  # type: ignore[attr-defined]
    request.state["left by"] = "a request"  # type: ignore[attr-defined]
    return JsonResponse(found)


def sync_view(request: HttpRequest) -> HttpResponse:
    """Answer whether there is a state."""
    return HttpResponse(str(hasattr(request, "state")))


@sync_only_middleware
def sync_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Do nothing, synchronously."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    return middleware


urlpatterns = [path("state/", show_state), path("sync/", sync_view)]
