"""The only page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from . import client


async def index(request: HttpRequest) -> HttpResponse:
    """Answer with what the client got."""
    return HttpResponse(await client.HTTPX_CLIENT.get(request.path))


urlpatterns = [path("", index)]
