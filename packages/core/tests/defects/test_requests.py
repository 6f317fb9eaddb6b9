"""d05 to d07: requests have their state, with and without the server's help."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import AsyncClient, Client

from defects.helpers import STARTED, STOPPED, Journal, Server, ask, manager
from defects.project import MIDDLEWARE, PROJECT
from django_asgi_lifespan.handler import LifespanASGIHandler


async def test_d05_without_a_state_in_the_scope_managers_are_entered(
    journal: Journal, settings: Any
) -> None:
    """The startup enters them, and requests are served with the state."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = PROJECT
    manager(journal, "a")
    handler = LifespanASGIHandler()
    server = Server(handler, state=False)
    assert await server.start() == STARTED
    assert journal == ["a opens"]
    assert await ask(handler) == (200, b'{"a": "value of a"}')
    assert await server.stop() == STOPPED
    assert journal == ["a opens", "a closes"]


@pytest.mark.real_clock
async def test_d06_the_middleware_does_without_a_state_in_the_request(settings: Any) -> None:
    """Django's own test client sends none."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = PROJECT
    response = await AsyncClient().get("/state/")
    assert response.json() == {}


def test_d07_under_wsgi_the_middleware_costs_no_event_loop(hops: list[str], settings: Any) -> None:
    """A sync request goes through it without any change between sync and async."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = PROJECT
    assert Client().get("/sync/").content == b"True"
    assert not hops
