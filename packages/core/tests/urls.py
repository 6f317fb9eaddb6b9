"""The URLs of the Django project that the tests run."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path


async def show_state(request: HttpRequest) -> JsonResponse:
    """Answer with what the request finds in its state."""
    return JsonResponse({key: repr(value) for key, value in request.state.items()})  # type: ignore[attr-defined]


urlpatterns = [path("state/", show_state)]
