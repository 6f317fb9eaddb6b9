"""Views that need every resource until their end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from chaos.lifespan import RESOURCES
from testkit import journal


@contextmanager
def _journaled(subject: str) -> Iterator[None]:
    """Tell the journal of a request, in which every resource must be had from begin to end."""
    journal.write(subject, "begun")
    _use()
    try:
        yield
        _use()
    finally:
        journal.write(subject, "ended")


def _use() -> None:
    for each in RESOURCES:
        each.get()


async def short(request: HttpRequest) -> JsonResponse:
    """Answer at once."""
    with _journaled("request"):
        return JsonResponse({})


async def slow(request: HttpRequest) -> JsonResponse:
    """Answer after a while."""
    with _journaled("request"):
        await asyncio.sleep(0.5)
    return JsonResponse({})


def sync(request: HttpRequest) -> JsonResponse:
    """Answer after a while, from a thread."""
    with _journaled("sync request"):
        threading.Event().wait(0.2)
    return JsonResponse({})


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Send lines until the client or the server ends it."""

    async def lines() -> AsyncIterator[bytes]:
        with _journaled("request"):
            while True:
                yield b"data: line\n\n"
                await asyncio.sleep(0.05)
                _use()

    return StreamingHttpResponse(lines(), content_type="text/event-stream")


urlpatterns = [
    path("", short),
    path("slow/", slow),
    path("sync/", sync),
    path("stream/", stream),
]
