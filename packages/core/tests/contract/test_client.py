"""The test client, which puts a state into its requests."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import AsyncClient

from django_asgi_lifespan.testing import LifespanAwareAsyncClient
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
