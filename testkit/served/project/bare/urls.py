"""One view of a project that registers nothing with the lifespan."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path


async def hello(request: HttpRequest) -> JsonResponse:
    """Answer without using anything."""
    return JsonResponse({"hello": "world"})


urlpatterns = [path("", hello)]
