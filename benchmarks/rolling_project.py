"""The Django project that is restarted behind a proxy: one view, which takes 20 milliseconds."""

import asyncio
import os

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_asgi_lifespan.asgi import get_asgi_application

__all__ = ("application", "urlpatterns")

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        ASGI_LIFESPAN={
            "PROBES": "/",
            "DRAIN_DELAY": float(os.environ["DRAIN_DELAY"]),
            "SHUTDOWN_TIMEOUT": 10,
        },
    )


async def view(request: HttpRequest) -> HttpResponse:
    """Answer with two letters."""
    await asyncio.sleep(0.02)
    return HttpResponse(b"ok")


urlpatterns = [path("", view)]

application = get_asgi_application()
