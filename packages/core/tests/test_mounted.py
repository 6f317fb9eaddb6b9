"""Other ASGI applications under Django, whose lifespans are part of the project's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from django_asgi_lifespan import (
    Resource,
    ResourceUnavailableError,
    StartupFailedError,
    mounted_application,
    resource,
    run_lifespan,
)
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.resources import registry
from testkit.processes import start

LIMIT = 30
"""Seconds after which a test waits no longer."""

Write = Callable[[str], Any]


def dispatch(prefix: str, mounted: Resource[Any]) -> LifespanApplication:
    """Return an application of Django, and of the mounted one below *prefix*."""
    django = ASGIHandler()

    async def by_path(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith(prefix):
            root = scope.get("root_path", "") + prefix
            await mounted.get()({**scope, "root_path": root}, receive, send)
        else:
            await django(scope, receive, send)

    return LifespanApplication(by_path)


def client(application: Any) -> httpx2.AsyncClient:
    """Return a client of *application* in this process."""
    transport = httpx2.ASGITransport(application)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


@pytest.fixture
def urls(settings: Any) -> None:
    """Django's own view."""

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("Django")

    settings.ROOT_URLCONF = (path("", view),)


# Starlette


@pytest.fixture
def child(journal: list[str]) -> Starlette:
    """A Starlette application with a lifespan that fills its state."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, Any]]:
        journal.append("child opens")
        yield {"greeting": "hello"}
        journal.append("child closes")

    async def greet(request: Request) -> PlainTextResponse:
        greeting = request.state.greeting
        request.state.greeting = "changed for this request only"
        return PlainTextResponse(f"{greeting} {sorted(request.scope['state'])}")

    return Starlette(routes=[Route("/greet", greet)], lifespan=lifespan)


@pytest.mark.real_clock
async def test_a_mounted_starlette_lives_with_the_project(
    urls: None, child: Starlette, journal: list[str]
) -> None:
    """Between its requirements and its dependants. Its requests have its own state."""

    @resource
    async def database() -> AsyncIterator[None]:
        journal.append("database opens")
        yield
        journal.append("database closes")

    api = mounted_application(child, name="api", requires=[database])
    application = dispatch("/api", api)
    for _ in range(2):
        async with LifespanDriver(application), client(application) as browser:
            assert (await browser.get("/")).text == "Django"
            for _ in range(2):
                assert (await browser.get("/api/greet")).text == "hello ['greeting']"
            assert (await browser.get("/api/else")).status_code == 404
    assert journal == ["database opens", "child opens", "child closes", "database closes"] * 2


async def test_a_mounted_application_is_not_to_be_had_without_its_lifespan(
    child: Starlette, journal: list[str]
) -> None:
    """Neither before it nor after it."""
    api = mounted_application(child, name="api")
    application = dispatch("/api", api)
    async with client(application) as browser:
        with pytest.raises(ResourceUnavailableError, match="no lifespan ran in this process"):
            await browser.get("/api/greet")
        async with LifespanDriver(application):
            pass
        with pytest.raises(ResourceUnavailableError, match="the lifespan has ended"):
            await browser.get("/api/greet")
    assert journal == ["child opens", "child closes"]


async def test_a_mounted_application_that_fails_fails_the_startup(journal: list[str]) -> None:
    """With its own message, and each open resource is closed."""

    @resource
    async def database() -> AsyncIterator[None]:
        journal.append("database opens")
        yield
        journal.append("database closes")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        raise ValueError("the child is broken")
        yield

    api = mounted_application(Starlette(lifespan=lifespan), name="api", requires=[database])
    driver = LifespanDriver(dispatch("/api", api))
    with pytest.raises(StartupFailedError, match="api failed to start: ") as failure:
        await driver.startup()
    assert "ValueError: the child is broken" in str(failure.value)
    assert journal == ["database opens", "database closes"]


async def test_an_application_without_a_lifespan_need_not_be_mounted() -> None:
    """The startup says so."""
    mounted_application(ASGIHandler(), name="api")
    with pytest.raises(StartupFailedError, match="ended before it answered"):
        async with run_lifespan():
            pass


# MCP


def make_mcp_server(write: Write) -> tuple[Any, Resource[Any]]:
    """Return an MCP server, whose tool uses a resource, and the resource."""
    from mcp.server import MCPServer

    @resource
    async def names() -> AsyncIterator[list[str]]:
        write("names opens")
        yield ["world"]
        write("names closes")

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[None]:
        write(f"MCP server opens with {names.get()}")
        yield
        write("MCP server closes")

    server = MCPServer("greeter", lifespan=lifespan)

    @server.tool()
    async def greet() -> str:
        """Greet everybody."""
        return f"hello {', '.join(names.get())}"

    return server, names


def make_mcp_application(write: Write) -> LifespanApplication:
    """Return an application with an MCP server at /mcp, mounted beside Django."""
    server, names = make_mcp_server(write)
    child = server.streamable_http_app(streamable_http_path="/")
    return dispatch("/mcp", mounted_application(child, name="mcp", requires=[names]))


async def call_tool(url: str, mode: str, http_client: httpx2.AsyncClient) -> str:
    """Return the answer of the tool of the MCP server at *url*."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    transport = streamable_http_client(url, http_client=http_client)
    async with Client(transport, mode=mode) as mcp_client:
        [tool] = (await mcp_client.list_tools()).tools
        result = await mcp_client.call_tool(tool.name)
        [content] = result.content
        return str(content.text)


EXPECTED = [
    "names opens",
    "MCP server opens with ['world']",
    "MCP server closes",
    "names closes",
]


@pytest.mark.real_clock
async def test_a_mounted_mcp_server_lives_with_the_project(urls: None, journal: list[str]) -> None:
    """Its sessions need its lifespan. Its tools use the resources of the project."""
    pytest.importorskip("mcp", reason="mcp is not among the packages of `just test-versions`")
    application = make_mcp_application(journal.append)
    async with LifespanDriver(application), client(application) as http_client:
        call = call_tool("http://127.0.0.1:8000/mcp/", "auto", http_client)
        assert await asyncio.wait_for(call, LIMIT) == "hello world"
        assert (await http_client.get("/")).text == "Django"
    assert journal == EXPECTED


@pytest.mark.real_clock
async def test_an_mcp_server_in_front_lives_with_the_project(journal: list[str]) -> None:
    """Where LifespanApplication stands around it."""
    pytest.importorskip("mcp", reason="mcp is not among the packages of `just test-versions`")
    server, _ = make_mcp_server(journal.append)
    application = LifespanApplication(server.streamable_http_app())
    async with LifespanDriver(application), client(application) as http_client:
        call = call_tool("http://127.0.0.1:8000/mcp", "auto", http_client)
        assert await asyncio.wait_for(call, LIMIT) == "hello world"
    assert journal == EXPECTED


@pytest.mark.real_clock
async def test_without_the_lifespan_an_mcp_server_is_not_to_be_had(journal: list[str]) -> None:
    """The error says why."""
    pytest.importorskip("mcp", reason="mcp is not among the packages of `just test-versions`")
    application = make_mcp_application(journal.append)
    async with client(application) as http_client:
        with pytest.raises(ResourceUnavailableError, match=r"^mcp is not available: no lifespan"):
            await http_client.post("/mcp/", json={})
    assert journal == []


def serve() -> Any:
    """Make the application that uvicorn runs. Its journal is the output of the process."""
    import conftest  # noqa: F401 - sets Django up

    django_settings.ROOT_URLCONF = ()

    def write(line: str) -> None:
        print(f"journal: {line}", flush=True)  # noqa: T201

    return make_mcp_application(write)


@pytest.mark.process
@pytest.mark.real_clock
async def test_a_mounted_mcp_server_under_uvicorn() -> None:
    """Called over the network by MCP's own client, with a session ("legacy") and without."""
    pytest.importorskip("mcp", reason="mcp is not among the packages of `just test-versions`")
    command = [sys.executable, "-m", "uvicorn", "--factory", "test_mounted:serve"]
    command += ["--app-dir", str(Path(__file__).parent), "--port", "0", "--lifespan", "on"]
    with start(command) as server:
        address = server.wait_for_output(r"running on (http://\S+)")[1]
        async with httpx2.AsyncClient() as http_client:
            for mode in ("legacy", "auto"):
                call = call_tool(f"{address}/mcp/", mode, http_client)
                assert await asyncio.wait_for(call, LIMIT) == "hello world"
        server.stop("SIGTERM")
        server.wait()
        output = server.output()
    lines = [line for line in output.splitlines() if line.startswith("journal: ")]
    assert lines == [f"journal: {line}" for line in EXPECTED]
    assert "Traceback" not in output


@asynccontextmanager
async def _lives_once(_: Starlette) -> AsyncGenerator[None]:
    yield


async def test_an_application_that_lives_once_is_made_anew_at_each_start() -> None:
    """By its factory."""
    made: list[Starlette] = []

    def make() -> Starlette:
        made.append(Starlette(lifespan=_lives_once))
        return made[-1]

    mounted_application(factory=make, name="api")
    for _ in range(2):
        async with run_lifespan():
            pass
    assert len(made) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "api"},
        {"name": "api", "application": print, "factory": print},
        {"application": print},
    ],
    ids=["neither", "both", "no name"],
)
def test_an_application_or_a_factory_is_wanted(arguments: dict[str, Any]) -> None:
    """One of the two, under a name."""
    with pytest.raises(TypeError, match="an application or a factory, and a name"):
        mounted_application(**arguments)


async def test_a_child_that_ends_early_is_reported_as_it_says() -> None:
    """With its own message, its exception, or that it need not be mounted."""

    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "its own words"})

    async def raises(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("DATABASE_URL")

    async def returns(scope: Any, receive: Any, send: Any) -> None: ...

    for child, words in (
        (refuses, "its own words"),
        (raises, "KeyError: 'DATABASE_URL'"),
        (returns, "the application has no lifespan: pass requests to it as it is"),
    ):
        registry._declared.clear()
        mounted_application(child, name="api")
        with pytest.raises(StartupFailedError, match=words):
            async with run_lifespan():
                pass
