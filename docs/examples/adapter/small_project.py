"""A Django project in one file, for the test of the adapter: with a journal of its events."""

import asyncio
import os
from collections.abc import AsyncIterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_asgi_lifespan import resource, stopping
from django_asgi_lifespan.asgi import get_asgi_application
from testkit import journal

adapter = os.environ.get("ADAPTER")
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    ASGI_LIFESPAN={"ADAPTERS": [adapter] if adapter else []},
)


@resource
async def pool() -> AsyncIterator[str]:
    if "HANG" in os.environ:
        journal.write("pool", "starting")
        await asyncio.sleep(3600)
    journal.write("pool", "opened")
    yield "the answer of the pool"
    journal.write("pool", "closed")


async def slow(request: HttpRequest) -> HttpResponse:
    """Ask the pool when the server has been stopping for a while."""
    journal.write("request", "asked")
    await stopping()
    await asyncio.sleep(0.2)
    answer = pool.get()
    journal.write("request", "answered")
    return HttpResponse(answer)


async def endless(request: HttpRequest) -> HttpResponse:
    """Never answer."""
    journal.write("request", "asked")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        journal.write("request", "cancelled")
        raise
    return HttpResponse()


urlpatterns = [path("", slow), path("endless", endless)]
application = get_asgi_application()
