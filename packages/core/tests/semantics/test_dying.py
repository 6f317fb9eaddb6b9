"""A resource that dies while it runs is logged, and the others go on."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator

import anyio
import pytest

from django_asgi_lifespan import ResourceUnavailableError, StartupFailedError, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare


@pytest.mark.parametrize("library", ["anyio", "asyncio"])
async def test_a_resource_that_dies_is_logged_with_its_name_and_traceback(
    library: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its ``.get()`` says so from then on, and the others go on."""
    if library == "asyncio" and sys.version_info < (3, 11):
        pytest.skip("asyncio has task groups since Python 3.11")

    async def crash() -> None:
        await asyncio.sleep(1)
        raise ConnectionResetError("the broker went away")

    @resource
    async def consumer() -> AsyncIterator[str]:
        if library == "anyio":
            async with anyio.create_task_group() as group:
                group.start_soon(crash)
                yield "consumer"
        else:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(crash())
                yield "consumer"

    @resource
    async def other() -> AsyncIterator[str]:
        yield "other"

    async with LifespanDriver(LifespanASGIHandler()):
        assert consumer.get() == "consumer"
        await asyncio.sleep(2)
        assert other.get() == "other"
        with pytest.raises(
            ResourceUnavailableError,
            match=r"it died while it was running \(ConnectionResetError: the broker went away\)",
        ):
            consumer.get()
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == (
        "consumer died while it was running: ConnectionResetError: the broker went away"
    )
    assert record.exc_info is not None


async def test_a_resource_that_dies_during_the_startup_fails_it(journal: Journal) -> None:
    """The server does not begin to serve without it."""
    declare(journal, "a")

    async def crash() -> None:
        raise ValueError("crashed")

    @resource
    async def consumer() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(crash)
            yield

    @resource
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(5)
        yield

    with pytest.raises(StartupFailedError, match="consumer died while it was running: ValueError"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["a opens", "a closes"]
