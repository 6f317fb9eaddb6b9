"""Both sides of the protocol, each against an implementation that is not ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asgi_lifespan import LifespanManager
from starlette.applications import Starlette
from starlette.testclient import TestClient

from django_asgi_lifespan import (
    LifespanUnsupportedError,
    ShutdownFailedError,
    StartupFailedError,
    resource,
)
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler

Journal = list[str]


def declare(journal: Journal) -> None:
    """Declare two resources."""

    @resource
    async def first() -> AsyncIterator[str]:
        journal.append("first opens")
        yield "first"
        journal.append("first closes")

    @resource(requires=[first])
    async def second() -> AsyncIterator[str]:
        yield "second"


# Our application under the servers of others. Both are for tests, and look for failures only in
# what the application raises, which ours does not after it has sent ``lifespan.startup.failed``.


@pytest.mark.real_clock
async def test_our_application_under_asgi_lifespan(journal: Journal) -> None:
    """It starts, hands over its state, and stops."""
    declare(journal)
    async with LifespanManager(LifespanASGIHandler()) as manager:
        assert manager._state == {"first": "first", "second": "second"}
        assert journal == ["first opens"]
    assert journal == ["first opens", "first closes"]


def test_our_application_under_starlettes_test_client(journal: Journal) -> None:
    """Requests find the state."""
    declare(journal)
    with TestClient(LifespanASGIHandler()) as client:
        assert journal == ["first opens"]
        for _ in range(2):
            assert client.get("/state/").json() == {"first": "'first'", "second": "'second'"}
    assert journal == ["first opens", "first closes"]


# Applications of others under our driver


async def test_our_driver_with_starlette(journal: Journal) -> None:
    """It starts, hands over its state, and stops."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, str]]:
        journal.append("opens")
        yield {"key": "value"}
        journal.append("closes")

    async with LifespanDriver(Starlette(lifespan=lifespan)) as state:
        assert state == {"key": "value"}
        assert journal == ["opens"]
    assert journal == ["opens", "closes"]


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_our_driver_with_a_starlette_that_fails(phase: str) -> None:
    """Starlette sends a traceback as the message, and raises after it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        if phase == "startup":
            raise ValueError("broke")
        yield
        raise ValueError("broke")

    driver = LifespanDriver(Starlette(lifespan=lifespan))
    expected = StartupFailedError if phase == "startup" else ShutdownFailedError
    with pytest.raises(expected, match="ValueError: broke") as error:
        async with driver:
            pass
    assert isinstance(error.value.__cause__, ValueError)


async def test_our_driver_with_stock_django() -> None:
    """It has no lifespan, and says so by raising."""
    from django.core.handlers.asgi import ASGIHandler

    with pytest.raises(LifespanUnsupportedError) as error:
        await LifespanDriver(ASGIHandler()).startup()
    assert isinstance(error.value.__cause__, ValueError)
