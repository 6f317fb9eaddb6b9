"""The middleware, which puts the state on the request."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from contract.helpers import ask
from django_asgi_lifespan import middleware
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.types import State


def test_the_middleware_has_its_older_name_too() -> None:
    """Settings name it by a dotted path."""
    assert middleware.AsyncMiddleware is middleware.LifespanStateMiddleware


async def test_the_middleware_sets_the_object_of_the_scope() -> None:
    """Not a copy, and also on requests that Django's own handler made."""
    state = {"a": 1}
    request = AsyncRequestFactory().get("/")
    request.scope["state"] = state
    response = HttpResponse()

    async def view(request: HttpRequest) -> HttpResponse:
        assert request.state is state  # type: ignore[attr-defined]
        return response

    answer: Any = middleware.LifespanStateMiddleware(view)(request)
    assert await answer is response
    assert request.state is state  # type: ignore[attr-defined]


def test_the_middleware_is_sync_before_a_sync_view() -> None:
    """A WSGI request, which has no scope, gets a state too."""
    request = RequestFactory().get("/")
    response = HttpResponse()
    answer = middleware.LifespanStateMiddleware(lambda _: response)(request)
    assert answer is response
    assert request.state == {}  # type: ignore[attr-defined]


async def test_the_middleware_never_raises_a_key_error() -> None:
    """Where the scope has no state, requests get that of the running lifespan, or an empty one."""

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    async def state_of_a_request() -> Any:
        request: Any = AsyncRequestFactory().get("/")
        assert "state" not in request.scope
        answer: Any = middleware.LifespanStateMiddleware(view)(request)
        await answer
        return request.state

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[State]:
        yield {"a": 1}

    assert await state_of_a_request() == {}
    register_lifespan_manager(context_manager=factory)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert await state_of_a_request() == {"a": 1}
        (await state_of_a_request())["b"] = 2
        assert state == {"a": 1}


@pytest.mark.parametrize("installed", [True, False])
async def test_requests_of_the_handler_have_a_state_without_the_middleware(
    installed: bool, settings: Any
) -> None:
    """With it, they have the same."""
    path = "django_asgi_lifespan.middleware.LifespanStateMiddleware"
    settings.MIDDLEWARE = [path] if installed else []
    answer = await ask(LifespanASGIHandler(), {"state": {"a": 1}})
    assert answer == (200, b'{"a": "1"}')
