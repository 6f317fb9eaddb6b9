"""If one resource fails to start, those already started are stopped, and the server is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from django_asgi_lifespan import StartupFailedError, asgi_shutdown, asgi_startup, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare, lifespan_messages


async def test_when_one_fails_to_start_those_started_are_stopped_in_order(
    journal: Journal,
) -> None:
    """Dependants before their requirements. A resource that had not begun is not begun."""
    declare(journal, "a")
    declare(journal, "b", requires=["a"])

    @resource(requires=["b"])
    async def broken() -> AsyncIterator[None]:
        raise ConnectionRefusedError
        yield

    declare(journal, "never", requires=[broken])
    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["a opens", "b opens", "b closes", "a closes"]


async def test_when_one_fails_to_start_those_still_starting_are_cancelled_and_awaited(
    journal: Journal,
) -> None:
    """The answer waits until their cancellation is through."""

    @resource
    async def slow() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(2)
            journal.append("slow is cancelled")
        yield

    @resource
    async def broken() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        raise ValueError
        yield

    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["slow is cancelled"]
    assert asyncio.get_running_loop().time() == pytest.approx(3)


@pytest.mark.parametrize(
    ("exception", "description"),
    [
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (KeyError("DATABASE_URL"), "KeyError: 'DATABASE_URL'"),
        (asyncio.CancelledError(), "CancelledError"),
        (ValueError("the reason"), "ValueError: the reason"),
    ],
)
async def test_the_failed_message_names_the_resource_and_the_exception(
    exception: BaseException, description: str
) -> None:
    """It is never empty, and says more than the text of the exception."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise exception
        yield

    assert await lifespan_messages(LifespanASGIHandler()) == [
        {
            "type": "lifespan.startup.failed",
            "message": f"broken failed to start: {description}",
        }
    ]


async def test_the_failed_message_names_every_leaf_of_an_exception_group() -> None:
    """Also of groups in groups."""

    async def fail(exception: Exception) -> None:
        raise exception

    @resource
    async def broken() -> AsyncIterator[None]:
        async with anyio.create_task_group() as outer:
            outer.start_soon(fail, OSError("disk"))
            async with anyio.create_task_group() as inner:
                inner.start_soon(fail, ValueError("inner"))
                await anyio.sleep_forever()
        yield

    [message] = await lifespan_messages(LifespanASGIHandler())
    assert "OSError: disk" in message["message"]
    assert "ValueError: inner" in message["message"]
    assert "TaskGroup" not in message["message"]


async def test_the_traceback_goes_to_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    """One record carries the exception, and it names the resource."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise ValueError("the reason")
        yield

    await lifespan_messages(LifespanASGIHandler())
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "broken failed to start: ValueError: the reason"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_the_traceback_of_a_receiver_goes_to_the_log_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One record carries the exception, and it names the receiver."""

    async def fails(**_: Any) -> None:
        raise ValueError("the reason")

    asgi_startup.connect(fails)
    asgi_shutdown.connect(fails)
    await lifespan_messages(LifespanASGIHandler())
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage().endswith("fails failed: ValueError: the reason")


async def test_after_a_failed_startup_the_handler_returns() -> None:
    """It does not raise into the log of the server, and asks for no further message."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise ValueError
        yield

    def never() -> None:
        raise AssertionError("the handler asked for another message")

    [message] = await lifespan_messages(LifespanASGIHandler(), then=never)
    assert message["type"] == "lifespan.startup.failed"
