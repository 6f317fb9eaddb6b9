"""What the servers of the throughput benchmark serve alone: a trivial application, and Django's."""

from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

__all__ = ("bare", "project")

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], LOGGING_CONFIG=None, ROOT_URLCONF="benchmarks.urls")

project = get_asgi_application()

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")],
}
BODY = {"type": "http.response.body", "body": b"ok"}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer with two letters, and have a lifespan without anything in it."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
    else:
        await receive()
        await send(START)
        await send(BODY)
