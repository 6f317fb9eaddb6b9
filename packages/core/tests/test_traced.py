"""Tracers that wrap Django's own function: requests go through the application that they make."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from django.core import asgi as django_asgi
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_asgi_lifespan import asgi, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.traced import TracedHandler


class Traced:
    """The application that a tracer makes: it begins a span for each request."""

    def __init__(self, application: Any, spans: list[str]) -> None:
        self.spans = spans
        self.app = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.spans.append(scope["type"])
        await self.app(scope, receive, send)


class Wrapper:
    """A callable in place of a function, as wrapt makes them."""

    def __init__(self, function: Callable[[], Any], spans: list[str]) -> None:
        self.__wrapped__ = function
        self.spans = spans

    def __call__(self) -> Traced:
        return Traced(self.__wrapped__(), self.spans)


def wrap_by_object(function: Callable[[], Any], spans: list[str]) -> Callable[[], Any]:
    """Return an object."""
    return Wrapper(function, spans)


def wrap_by_decorator(function: Callable[[], Any], spans: list[str]) -> Callable[[], Any]:
    """Return a function that looks like the one inside."""

    @functools.wraps(function)
    def make() -> Traced:
        return Traced(function(), spans)

    return make


def wrap_by_function(function: Callable[[], Any], spans: list[str]) -> Callable[[], Any]:
    """Return a function of another module."""

    def make() -> Traced:
        return Traced(function(), spans)

    return make


@pytest.mark.parametrize("wrap", [wrap_by_object, wrap_by_decorator, wrap_by_function])
@pytest.mark.real_clock
async def test_requests_go_through_the_tracer(
    settings: Any, monkeypatch: pytest.MonkeyPatch, wrap: Callable[..., Any]
) -> None:
    """The lifespan does not. The middleware is made once, and requests have their state."""
    made: list[str] = []
    spans: list[str] = []

    def middleware(get_response: Any) -> Any:
        made.append("middleware")
        return get_response

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.state["pool"])  # type: ignore[attr-defined]

    @resource
    async def pool() -> AsyncIterator[str]:
        yield "the pool"

    monkeypatch.setitem(globals(), "middleware", middleware)
    settings.MIDDLEWARE = [f"{__name__}.middleware"]
    settings.ROOT_URLCONF = (path("", view),)
    function = django_asgi.get_asgi_application
    monkeypatch.setattr(django_asgi, "get_asgi_application", wrap(function, spans))
    application = asgi.get_asgi_application()
    assert isinstance(application, TracedHandler)
    assert made == ["middleware"]
    transport = httpx2.ASGITransport(application)
    async with LifespanDriver(application) as state:
        assert state == {"pool": "the pool"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for _ in range(2):
                assert (await client.get("/")).text == "the pool"
    assert spans == ["http", "http"]


async def test_once_everything_runs_requests_pass_the_gate_unseen() -> None:
    """As those of the handler do. A WebSocket is refused as there."""
    spans: list[str] = []
    sent: list[Any] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        spans.append(scope["type"])

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    application = TracedHandler(served)
    async with LifespanDriver(application) as state:
        for _ in range(2):
            await application({"type": "http", "state": state.copy()}, receive, send)
        assert application._gate.is_open
        await application({"type": "websocket", "state": state.copy()}, receive, send)
    assert spans == ["http", "http"]
    assert sent == [{"type": "websocket.close"}]


@pytest.mark.parametrize("function", [django_asgi, asgi])
def test_without_a_tracer_the_handler_is_ours_alone(
    monkeypatch: pytest.MonkeyPatch, function: Any
) -> None:
    """Also where somebody has put our function into Django's module."""
    monkeypatch.setattr(django_asgi, "get_asgi_application", function.get_asgi_application)
    application = asgi.get_asgi_application()
    assert type(application) is LifespanASGIHandler
    assert isinstance(application, ASGIHandler)
