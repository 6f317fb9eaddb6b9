"""The test client, which puts a state into its requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.test import AsyncClient, Client, SimpleTestCase

from django_asgi_lifespan import resource, run_lifespan, run_lifespan_sync
from django_asgi_lifespan.testing import LifespanAwareAsyncClient, LifespanAwareClient
from django_asgi_lifespan.types import State


@pytest.mark.real_clock
async def test_the_client_puts_the_given_state_into_requests(settings: Any) -> None:
    """It is a client of Django, with its other arguments and methods."""
    settings.MIDDLEWARE = ["django_asgi_lifespan.middleware.LifespanStateMiddleware"]
    state: State = {"a": 1}
    client = LifespanAwareAsyncClient(state=state, REMOTE_ADDR="127.0.0.2")
    assert isinstance(client, AsyncClient)
    assert client.state is state
    response = await client.get("/state/", headers={"accept": "text/plain"})
    assert response.json() == {"a": "1"}
    request: Any = response.asgi_request  # type: ignore[attr-defined]
    assert request.headers["accept"] == "text/plain"
    assert "state" not in {name.lower() for name in request.headers}


@pytest.mark.real_clock
async def test_the_clients_state_can_be_replaced(settings: Any) -> None:
    """It is an attribute as any other."""
    settings.MIDDLEWARE = ["django_asgi_lifespan.middleware.LifespanStateMiddleware"]
    client = LifespanAwareAsyncClient(state={"a": 1})
    client.state = {"b": 2}
    assert (await client.get("/state/")).json() == {"b": "2"}


MIDDLEWARE = ["django_asgi_lifespan.middleware.LifespanStateMiddleware"]


@pytest.mark.real_clock
@pytest.mark.parametrize("middleware", [[], MIDDLEWARE])
async def test_requests_of_the_client_have_a_state(settings: Any, middleware: list[str]) -> None:
    """As those of our handler do, with and without the middleware."""
    settings.MIDDLEWARE = middleware
    client = LifespanAwareAsyncClient(state={"a": 1})
    assert (await client.get("/state/")).json() == {"a": "1"}


@pytest.mark.parametrize("middleware", [[], MIDDLEWARE])
def test_requests_of_the_synchronous_client_have_a_state(
    settings: Any, middleware: list[str]
) -> None:
    """It is a client of Django, with its other arguments and methods."""
    settings.MIDDLEWARE = middleware
    client = LifespanAwareClient(state={"a": 1}, REMOTE_ADDR="127.0.0.2", enforce_csrf_checks=True)
    assert isinstance(client, Client)
    assert client.handler.enforce_csrf_checks
    assert client.get("/state/").json() == {"a": "1"}
    client.state = {"b": 2}
    assert client.get("/state/").json() == {"b": "2"}


async def _values() -> AsyncIterator[int]:
    yield 1


@pytest.mark.real_clock
async def test_requests_of_the_client_have_a_copy_of_the_running_state() -> None:
    """A request that changes it changes its own."""
    resource(_values, name="number")
    async with run_lifespan() as state:
        response: Any = await LifespanAwareAsyncClient().get("/state/")
        assert response.json() == {"number": "1"}
        assert response.asgi_request.state == state
        assert response.asgi_request.state is not state
    assert (await LifespanAwareAsyncClient().get("/state/")).json() == {}


def test_the_synchronous_client_has_the_state_of_a_block() -> None:
    """And an empty one outside."""
    resource(_values, name="number")

    class Case(SimpleTestCase):
        client_class = LifespanAwareClient

    case = Case()
    case._pre_setup()
    with run_lifespan_sync():
        assert case.client.get("/state/").json() == {"number": "1"}
    assert case.client.get("/state/").json() == {}
