"""A Django project with request threads, and clients that send requests to it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.conf import settings
from django.test import override_settings
from django.urls import path

from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import lifespans
from django_asgi_lifespan.request_threads import RequestThreads

DEADLINE = 60.0

marks = [
    pytest.mark.real_clock,
    pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.Spooled:ResourceWarning"),
]
"""Of every test here. Django leaves the body of a request open where a server cancels it."""

View = Callable[..., Any]
this_thread = threading.get_ident


class Answer(NamedTuple):
    """The status and the text of a response. The status is 0 where there was none."""

    status: int
    text: str


async def until(condition: Callable[[], object]) -> None:
    """Return when *condition* is true."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def settle() -> None:
    """Let everything run that is ready in the event loop, and all that follows from it."""
    for _ in range(100):
        await asyncio.sleep(0)


async def get(
    application: Any,
    url: str = "/",
    *,
    receive: Callable[[], Awaitable[Mapping[str, Any]]] | None = None,
    leave: Callable[[], Awaitable[object]] | None = None,
    send_error: BaseException | None = None,
    state: dict[str, Any] | None = None,
) -> Answer:
    """Return the answer to a request, which has a task and a context of its own, as under a server.

    Args:
        receive: the callable of the scope, instead of one that sends an empty body.
        leave: the client disconnects when this returns.
        send_error: raised when the body of the response is sent.
        state: that of the lifespan.
    """
    parts = urlsplit(url)
    body: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]
    status, sent = [0], b""
    never = asyncio.get_running_loop().create_future()

    async def receive_empty() -> Mapping[str, Any]:
        if body:
            return body.pop()
        if leave is None:
            await never
        else:
            await leave()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal sent
        if message["type"] == "http.response.start":
            status[0] = message["status"]
        elif send_error is not None:
            raise send_error
        else:
            sent += message.get("body", b"")

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [],
        "state": state or {},
    }
    try:
        await asyncio.create_task(application(scope, receive or receive_empty, send))
    finally:
        never.cancel()  # where a request is cancelled, Django leaves the task that waits for this
    return Answer(status[0], sent.decode())


@asynccontextmanager
async def project(
    keep: int | None = 2, **views: View
) -> AsyncGenerator[tuple[LifespanASGIHandler, RequestThreads]]:
    """Run a project with *views* at paths of their names, and yield its handler and its threads."""
    urls = tuple(path(name, view) for name, view in views.items())
    changed = {"ROOT_URLCONF": urls, "ASGI_LIFESPAN": {"REQUEST_THREADS": keep}}
    with override_settings(**changed):
        handler = LifespanASGIHandler()
        async with LifespanDriver(handler):
            yield handler, threads_here()
    await until(lambda: not executors_of_requests())
    assert settings.ROOT_URLCONF == "urls"


def executors_of_requests() -> list[Any]:
    """Return the executors that asgiref knows by the contexts of requests that are not garbage."""
    gc.collect()
    table = SyncToAsync.context_to_thread_executor.items()
    return [executor for context, executor in table if isinstance(context, ThreadSensitiveContext)]


def threads_here() -> RequestThreads:
    """Return the request threads of the lifespan in this event loop."""
    [lifespan] = lifespans.running[asyncio.get_running_loop()]
    threads: Any = lifespan.request_threads
    return threads
