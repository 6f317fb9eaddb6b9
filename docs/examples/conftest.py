"""Fixtures for the tests of the examples: a Django project around an example, and real servers."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from django.urls import path

from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler

# The same Django, event loops and empty registry as in the tests of the core.
from packages.core.tests.conftest import (  # noqa: F401
    _nothing_registered,
    pytest_pyfunc_call,
    settings,
)
from testkit.services import PostgreSQL, redis, short_folder

LIMIT = 30
"""Seconds after which a test waits no longer."""

Example = Callable[[str], Any]
Serve = Callable[[Callable[..., Any]], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def example(_nothing_registered: None) -> Example:  # noqa: F811
    """Return a function that imports an example anew, which declares its resources."""

    def load(name: str) -> ModuleType:
        file = Path(__file__).with_name(f"{name}.py")
        spec = importlib.util.spec_from_file_location(f"example_{name}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def serve(settings: Any) -> Serve:  # noqa: F811
    """Return a function that runs a Django project of one view, and yields a client for it."""

    @asynccontextmanager
    async def run(view: Callable[..., Any]) -> AsyncGenerator[httpx.AsyncClient]:
        settings.ROOT_URLCONF = (path("", view),)
        handler = LifespanASGIHandler()
        async with (
            LifespanDriver(handler),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(handler), base_url="http://testserver"
            ) as client,
        ):
            yield client

    return run


class Upstream:
    """An HTTP server that the project is a client of.

    Attributes:
        url: where it is.
        connections: how many have been made to it.
        open: how many of them are open.
        all_closed: set when there were some, and none is left.
    """

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.open = 0
        self.all_closed = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of one connection, until the client closes it."""
        self.connections += 1
        self.open += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        except asyncio.IncompleteReadError:
            self.open -= 1
            if self.open == 0:
                self.all_closed.set()
        finally:
            writer.close()


@asynccontextmanager
async def upstream() -> AsyncGenerator[Upstream]:
    """Run an Upstream, until its clients have closed all of their connections."""
    service = Upstream()
    async with await asyncio.start_server(service.answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        service.url = f"http://{host}:{port}/"
        yield service
        await asyncio.wait_for(service.all_closed.wait(), LIMIT)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder whose path is short enough for the address of a Unix socket."""
    with short_folder() as empty:
        yield empty


@pytest.fixture
def redis_url(folder: Path) -> Iterator[str]:
    """The URL of a Redis server of the test's own, which keeps nothing."""
    with redis(folder) as url:
        yield url


@pytest.fixture
def postgresql_url(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server of the test's own, with a cluster made for it."""
    with PostgreSQL(folder) as server:
        yield server.url
