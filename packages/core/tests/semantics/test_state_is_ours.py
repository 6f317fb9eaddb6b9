"""The state belongs to the lifespan. The server's is a copy of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from django_asgi_lifespan import asgi_shutdown, asgi_startup, get_state, resource
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import lifespan_messages, request


async def test_the_state_is_copied_in_place_into_the_servers() -> None:
    """The server keeps its own object, and its keys stay."""
    resource(_value("a"), name="a")
    servers: dict[str, Any] = {"put by": "the server"}
    scope = {"type": "lifespan", "state": servers}
    seen: list[Any] = []
    await lifespan_messages(LifespanASGIHandler(), scope, then=lambda: seen.append(dict(servers)))
    assert scope["state"] is servers
    assert seen == [{"put by": "the server", "a": "value of a"}]


async def test_keys_found_only_in_the_servers_state_are_taken_over() -> None:
    """Whether they were there before, or a receiver put them there."""

    async def receiver(scope: dict[str, Any], **_: Any) -> None:
        scope["state"]["late"] = "by a receiver"

    asgi_startup.connect(receiver)
    seen: list[Any] = []
    scope = {"type": "lifespan", "state": {"early": "by the server"}}
    await lifespan_messages(
        LifespanASGIHandler(), scope, then=lambda: seen.append(dict(get_state()))
    )
    assert seen == [{"early": "by the server", "late": "by a receiver"}]


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_server_without_state_gets_one_in_every_request(
    kind: str,
) -> None:
    """In HTTP and WebSocket scopes, each a copy."""
    resource(_value("a"), name="a")
    scopes: list[dict[str, Any]] = []

    async def django(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)

    handler = LifespanApplication(django)
    async with LifespanDriver(handler):
        for _ in range(2):
            await handler({"type": kind}, None, None)
        assert scopes[0]["state"] == scopes[1]["state"] == get_state() == {"a": "value of a"}
        assert scopes[0]["state"] is not scopes[1]["state"]
        assert scopes[0]["state"] is not get_state()


async def test_a_server_that_empties_the_state_before_the_shutdown_changes_nothing() -> None:
    """The shutdown receivers find everything in ours (Granian does it, asgi.py, 2.8.9)."""
    resource(_value("a"), name="a")
    servers: dict[str, Any] = {}
    seen = []

    async def receiver(state: dict[str, Any], **_: Any) -> None:
        seen.append(dict(state))

    asgi_shutdown.connect(receiver)
    scope = {"type": "lifespan", "state": servers}
    await lifespan_messages(LifespanASGIHandler(), scope, then=servers.clear)
    assert seen == [{"a": "value of a"}]


async def test_requests_get_shallow_copies() -> None:
    """A key that a request puts into its state is not in the next one. The values are shared."""
    resource(_value("a"), name="a")
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler) as state:
        state["a"] = ["shared"]
        first, second = {"state": state.copy()}, {"state": state.copy()}
        await request(handler, first)
        first["state"]["mine"] = True
        [_, body, *_] = await request(handler, second)
        assert b"mine" not in body["body"]
        assert b"shared" in body["body"]


def _value(name: str) -> Callable[[], AsyncIterator[str]]:
    async def factory() -> AsyncIterator[str]:
        yield f"value of {name}"

    return factory
