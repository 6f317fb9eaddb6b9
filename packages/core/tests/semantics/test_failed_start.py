"""Nothing is served after a failed start, until a later one completes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import StartupFailedError, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import request


async def _fail_to_start(handler: LifespanASGIHandler, *, repaired: list[bool]) -> None:
    @resource
    async def fragile() -> AsyncIterator[None]:
        if not repaired:
            raise ValueError
        yield

    with pytest.raises(StartupFailedError):
        await LifespanDriver(handler).startup()


async def test_after_a_failed_start_http_requests_get_503_until_a_later_one_completes() -> None:
    """No matter how the server reacts to the failure."""
    handler = LifespanASGIHandler()
    repaired: list[bool] = []
    await _fail_to_start(handler, repaired=repaired)
    for _ in range(2):
        [start, _] = await request(handler, {"state": {}})
        assert start["status"] == 503
    repaired.append(True)
    async with LifespanDriver(handler) as state:
        for _ in range(2):
            [start, *_] = await request(handler, {"state": state.copy()})
            assert start["status"] == 200


async def test_after_a_failed_start_websockets_are_closed_with_1013() -> None:
    """After the connect message, as the specification has it."""
    handler = LifespanASGIHandler()
    await _fail_to_start(handler, repaired=[])
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append((message["type"], message["code"]))

    await handler({"type": "websocket", "path": "/"}, receive, send)
    assert sent == [("websocket.close", 1013)]


async def test_while_the_lifespan_is_starting_requests_get_503() -> None:
    """A server that does not wait for the startup does not get a half-started application."""
    handler = LifespanASGIHandler()

    @resource
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(5)
        yield

    driver = LifespanDriver(handler)
    starting = asyncio.ensure_future(driver.startup())
    await asyncio.sleep(1)
    [start, _] = await request(handler)
    assert start["status"] == 503
    await starting
    [start, *_] = await request(handler)
    assert start["status"] == 200
    await driver.shutdown()


async def test_a_cancelled_start_counts_as_failed() -> None:
    """A server that gives up waiting does not get to serve either."""
    handler = LifespanASGIHandler()

    @resource
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(5)
        yield

    starting = asyncio.ensure_future(LifespanDriver(handler).startup())
    await asyncio.sleep(1)
    starting.cancel()
    await asyncio.wait([starting])
    [start, _] = await request(handler)
    assert start["status"] == 503
