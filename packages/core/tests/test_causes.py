"""Why no lifespan was started: the table of causes, each with the stack that shows it."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import httpx2
import pytest
from django.core.handlers.asgi import ASGIHandler
from starlette.applications import Starlette

from django_asgi_lifespan import ResourceUnavailableError, causes, resource
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.surroundings import modules_of_all_threads


def within(module: str, name: str, call: Callable[[], Any], **attributes: Any) -> Any:
    """Return what *call* returns, called by a method *name* of an object of *module*."""
    space: dict[str, Any] = {"__name__": module}
    exec(f"class Part:\n    def {name}(self, call):\n        return call()", space)
    part = space["Part"]()
    vars(part).update(attributes)
    return getattr(part, name)(call)


def through(module: str, call: Awaitable[None]) -> Coroutine[Any, Any, None]:
    """Return a coroutine of a function of *module* that awaits *call*."""
    space: dict[str, Any] = {"__name__": module}
    exec("async def passes_on(call):\n    await call", space)
    coroutine: Coroutine[Any, Any, None] = space["passes_on"](call)
    return coroutine


def request(handler: Any, **scope: Any) -> Awaitable[None]:
    """Return a call of *handler* with a request."""
    call: Awaitable[None] = handler({"type": "http", "state": {}, **scope}, None, None)
    return call


@pytest.fixture
def pool() -> Any:
    """A resource that nobody opens."""

    @resource
    async def pool() -> AsyncIterator[None]:
        yield

    return pool


@pytest.fixture
def handler(pool: Any, monkeypatch: pytest.MonkeyPatch) -> LifespanASGIHandler:
    """Our handler, whose requests are not served, and which has something to open."""

    async def nothing(*_: Any) -> None: ...

    monkeypatch.setattr(ASGIHandler, "__call__", nothing)
    return LifespanASGIHandler()


def told(caplog: pytest.LogCaptureFixture) -> str:
    """Return the cause that the only line of the log names."""
    [message] = caplog.messages
    start = "Requests arrive, but the server has not started the lifespan, so nothing was opened: "
    assert message.startswith(f"{start}pool. ")
    return message.removeprefix(f"{start}pool. ").removesuffix(" [lifespan-not-started]")


@pytest.mark.parametrize("is_on", [False, True])
async def test_uvicorns_flag_is_named(
    handler: Any, caplog: pytest.LogCaptureFixture, is_on: bool
) -> None:
    """Where the server that calls has switched the lifespan off."""
    space: dict[str, Any] = {"__name__": "uvicorn.server"}
    exec("class Server:\n    async def serve(self, end):\n        await end.wait()", space)
    server = space["Server"]()
    server.config = types.SimpleNamespace(lifespan="on" if is_on else "off")
    end = asyncio.Event()
    task = asyncio.ensure_future(server.serve(end))
    await asyncio.sleep(0)
    await asyncio.ensure_future(through("uvicorn.protocols.http.h11_impl", request(handler)))
    end.set()
    await task
    assert told(caplog) == causes.CAUSES["any server" if is_on else "uvicorn"]


@pytest.mark.parametrize(
    ("server", "cause"),
    [
        (("granian.server.mp", "_spawn_asgi_worker", {}), "granian"),
        (("granian.server.mp", "_spawn_asgi_lifespan_worker", {}), "any server"),
        (("gunicorn.workers.gasgi", "run", {"asgi_lifespan": "off"}), "gunicorn"),
        (("gunicorn.workers.gasgi", "run", {"asgi_lifespan": "auto"}), "any server"),
        (("daphne.server", "run", {}), "daphne"),
    ],
)
def test_a_server_that_starts_none_is_named(
    handler: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    server: tuple[str, str, Any],
    cause: str,
) -> None:
    """By its flag, or because it cannot without its adapter."""
    monkeypatch.delitem(sys.modules, "django_asgi_lifespan_daphne.hooks", raising=False)

    module, name, settings = server

    def run() -> None:
        asyncio.run(through(module, request(handler)))

    within(module, name, run, cfg=types.SimpleNamespace(**settings))
    assert told(caplog) == causes.CAUSES[cause]


async def test_daphne_with_its_adapter_is_not_the_cause(
    handler: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application stands in front."""
    monkeypatch.setitem(sys.modules, "django_asgi_lifespan_daphne.hooks", types.ModuleType("x"))
    await asyncio.ensure_future(through("daphne.server", through("mysite", request(handler))))
    assert told(caplog) == causes.CAUSES["front"].format(name="mysite.passes_on")


async def test_the_application_in_front_is_named(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The outermost one."""
    inner = through("mysite.inner", request(handler))
    await asyncio.ensure_future(through("hypercorn.app_wrappers", through("mysite.outer", inner)))
    assert told(caplog) == causes.CAUSES["front"].format(name="mysite.outer.passes_on")


async def test_an_application_of_starlette_is_known_by_the_scope(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Its middleware may serve the request in another task."""
    await asyncio.ensure_future(request(handler, app=Starlette()))
    cause = causes.CAUSES["front or server"]
    assert told(caplog) == cause.format(name="starlette.applications.Starlette")


async def test_a_client_in_the_same_process_is_named(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It starts no lifespan. The remedy is for a test."""
    transport = httpx2.ASGITransport(handler)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        with pytest.raises(AssertionError):  # because nothing is served here
            await client.get("/")
    expected = causes.CAUSES["client"].format(name="httpx2.ASGITransport")
    assert told(caplog).replace("httpx2._transports.asgi.", "httpx2.") == expected


def test_async_code_that_a_thread_waits_for_is_told_the_same(pool: Any) -> None:
    """An async view under WSGI runs in another thread than the server's."""

    def run_elsewhere() -> set[str]:
        async def look() -> set[str]:
            return await asyncio.to_thread(modules_of_all_threads)

        return asyncio.run(look())

    assert "django.core.handlers.wsgi" in within("django.core.handlers.wsgi", "f", run_elsewhere)


async def test_code_that_a_request_reaches_is_told_the_cause_of_the_request(
    pool: Any, handler: Any
) -> None:
    """Also in a thread, whose stack does not show it."""
    await asyncio.ensure_future(through("mysite.front", request(handler)))
    with pytest.raises(ResourceUnavailableError, match=r"in front, mysite\.front\.passes_on"):
        pool.get()
