"""Request threads and a real Redis: they do not help Django's caches, as the documentation says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from .helpers import get, marks, project

redis = pytest.importorskip("redis")
from testkit.services import redis as redis_server  # noqa: E402 - it needs the same
from testkit.services import short_folder  # noqa: E402

pytestmark = [
    *marks,
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
"""Django leaves the connections to the garbage collector."""

REQUESTS = 20


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a server of these tests' own."""
    with short_folder() as folder, redis_server(folder) as started:
        yield started


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    """Let Django keep its cache in Redis, and yield a client that stays connected."""
    caches = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
    }
    with override_settings(CACHES=caches), redis.Redis.from_url(url) as connected:
        connected.ping()
        yield connected


def opened(client: Any) -> int:
    """Return how many connections the server has seen."""
    return int(client.info("stats")["total_connections_received"])


def visit(request: HttpRequest) -> HttpResponse:
    """Use the cache."""
    cache.set("visited", "yes")
    return HttpResponse(cache.get("visited"))


async def avisit(request: HttpRequest) -> HttpResponse:
    """Do so in async code."""
    return await sync_to_async(visit)(request)


@pytest.mark.parametrize("keep", [None, 2], ids=["stock", "request threads"])
@pytest.mark.parametrize("path", ["/visit", "/avisit"])
async def test_each_request_opens_a_connection_to_redis(
    keep: int | None, path: str, client: Any
) -> None:
    """Django keeps a cache by context, and each request has one of its own under ASGI."""
    async with project(keep, visit=visit, avisit=avisit) as (handler, _):
        before = opened(client)
        for _ in range(REQUESTS):
            assert (await get(handler, path)).text == "yes"
        assert opened(client) - before == REQUESTS


async def test_under_wsgi_the_requests_of_a_thread_share_a_connection(client: Any) -> None:
    """There a thread has one context."""
    environ = RequestFactory().get("/visit").environ

    def start(_status: str, _headers: object) -> None:
        """Take the head of the response."""

    def serve(handler: Any) -> None:
        response = handler(environ, start)
        assert b"".join(response) == b"yes"
        response.close()

    async with project(None, visit=visit):
        before = opened(client)
        with ThreadPoolExecutor(1) as executor:
            handler = WSGIHandler()
            for _ in range(REQUESTS):
                await asyncio.get_running_loop().run_in_executor(executor, serve, handler)
        assert opened(client) - before == 1
