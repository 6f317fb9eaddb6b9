"""One view; the WebSockets stand before Django."""

from __future__ import annotations

import asyncio

from django.http import HttpRequest, HttpResponse
from django.urls import path

from testkit import gates, journal


async def held_view(request: HttpRequest) -> HttpResponse:
    """Answer when the test says so, and tell the journal if that never happens."""
    try:
        await gates.hold("request")
    except asyncio.CancelledError:
        journal.write("request", "cancelled")
        raise
    return HttpResponse()


urlpatterns = [path("held/", held_view)]
