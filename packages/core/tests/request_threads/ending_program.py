"""Ends while synchronous code of a request waits for a line from stdin: KEPT request threads."""

import asyncio
import sys
import threading
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

entered = threading.Event()


def say(text: str) -> None:
    """Write to stdout at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def wait(request: HttpRequest) -> HttpResponse:
    """Answer when there is a line."""
    entered.set()
    say(sys.stdin.readline())
    return HttpResponse()


def quick(request: HttpRequest) -> HttpResponse:
    """Answer at once."""
    return HttpResponse()


settings.configure(
    ROOT_URLCONF=(path("wait", wait), path("quick", quick)),
    ALLOWED_HOSTS=["*"],
    ASGI_LIFESPAN={"REQUEST_THREADS": None if sys.argv[1] == "None" else int(sys.argv[1])},
)
django.setup()

from django_asgi_lifespan.asgi import get_asgi_application  # noqa: E402 - after setup()
from django_asgi_lifespan.driver import LifespanDriver  # noqa: E402

handler = get_asgi_application()
driver = LifespanDriver(handler)


async def get(url: str) -> None:
    """Send a request, and return after its response."""
    bodies = [b""]

    async def receive() -> dict[str, Any]:
        if not bodies:
            await asyncio.get_running_loop().create_future()  # the client stays
        return {"type": "http.request", "body": bodies.pop()}

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": url, "query_string": b"", "headers": []}
    await handler({**scope, "http_version": "1.1", "state": driver.state}, receive, send)


async def main() -> asyncio.Task[None]:
    """Return a request that waits for the line."""
    await driver.startup()
    await asyncio.gather(get("/quick"), get("/quick"))  # their threads are idle at the end
    waiting = asyncio.create_task(get("/wait"))
    await asyncio.to_thread(entered.wait)
    return waiting


loop = asyncio.new_event_loop()
task = loop.run_until_complete(main())  # kept, and not cancelled
say("main ended\n")
