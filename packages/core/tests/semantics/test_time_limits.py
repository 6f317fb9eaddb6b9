"""Time limits, of one resource and of all: cancel, wait a second, abandon, and name it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from django_asgi_lifespan import ShutdownFailedError, StartupFailedError, asgi_shutdown, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare


@pytest.mark.parametrize("obeys", [True, False])
async def test_a_startup_limit_names_the_resource(journal: Journal, obeys: bool) -> None:
    """It is cancelled at its limit, and abandoned a second later if it does not end."""
    declare(journal, "a")

    @resource(startup_timeout=5, requires=["a"])
    async def slow() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not obeys:
                await asyncio.sleep(10)
            raise
        yield

    with pytest.raises(StartupFailedError) as failure:
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert str(failure.value) == (
        "slow did not start within 5 s"
        if obeys
        else "slow did not start within 5 s, ignored its cancellation and was abandoned"
    )
    assert asyncio.get_running_loop().time() == pytest.approx(5 if obeys else 6)
    assert journal == ["a opens", "a closes"]
    await asyncio.sleep(20)


async def test_a_shutdown_limit_that_waits_for_nothing_is_not_a_failure(
    journal: Journal, settings: Any
) -> None:
    """The one that was late is abandoned in the same moment, and told of already."""
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 3, "SHUTDOWN_TIMEOUT": 1}
    declare(journal, "a")

    @resource(requires=["a"])
    async def deaf() -> AsyncIterator[None]:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(20)
        yield

    with pytest.raises(StartupFailedError) as failure:
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert str(failure.value) == (
        "the startup did not complete within 3 s (STARTUP_TIMEOUT), waiting for: deaf; "
        "deaf ignored its cancellation and was abandoned"
    )
    assert journal == ["a opens", "a closes"]
    await asyncio.sleep(20)


async def test_a_shutdown_limit_names_the_resource(journal: Journal) -> None:
    """It is cancelled at its limit, and its requirements close after it."""
    declare(journal, "a")

    @resource(shutdown_timeout=5, requires=["a"])
    async def slow() -> AsyncIterator[None]:
        yield
        try:
            await asyncio.sleep(60)
        finally:
            journal.append("slow ends")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match=r"^slow did not stop within 5 s$"):
        await driver.shutdown()
    assert asyncio.get_running_loop().time() == pytest.approx(5)
    assert journal == ["a opens", "slow ends", "a closes"]


async def test_the_limit_of_the_whole_startup_names_what_was_late(settings: Any) -> None:
    """Every resource that was still starting is cancelled."""
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 3}

    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(60)
        yield

    resource(slow, name="one")
    resource(slow, name="two")
    with pytest.raises(StartupFailedError) as failure:
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert str(failure.value) == (
        "the startup did not complete within 3 s (STARTUP_TIMEOUT), waiting for: one, two"
    )
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_the_limit_of_the_whole_startup_names_the_first_ten(settings: Any) -> None:
    """And how many others were late."""
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 3}

    async def slow() -> AsyncIterator[None]:
        await anyio.sleep_forever()
        yield

    for index in range(30):
        resource(slow, name=f"slow_{index}")
    with pytest.raises(StartupFailedError, match=r"waiting for: (slow_\d+, ){10}and 20 more$"):
        await LifespanDriver(LifespanASGIHandler()).startup()


async def test_the_whole_shutdown_can_go_without_a_limit(journal: Journal, settings: Any) -> None:
    """None stands for it."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": None}

    @resource
    async def slow() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(3600)
        journal.append("slow closes")

    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert journal == ["slow closes"]


async def test_the_limit_of_the_whole_shutdown_leaves_the_others_their_turn(
    journal: Journal, settings: Any
) -> None:
    """A resource that waited for the late one is closed in the grace that follows."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 3}
    declare(journal, "a")

    @resource(requires=["a"])
    async def deaf() -> AsyncIterator[None]:
        yield
        ends = asyncio.get_running_loop().time() + 60
        while asyncio.get_running_loop().time() < ends:
            try:
                await asyncio.sleep(ends - asyncio.get_running_loop().time())
            except asyncio.CancelledError:
                journal.append("deaf ignores a cancellation")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError) as failure:
        await driver.shutdown()
    assert str(failure.value) == (
        "the shutdown did not complete within 3 s (SHUTDOWN_TIMEOUT), waiting for: deaf; "
        "deaf ignored its cancellation and was abandoned"
    )
    assert asyncio.get_running_loop().time() == pytest.approx(4)
    assert journal == ["a opens", "deaf ignores a cancellation", "a closes"]
    await asyncio.sleep(60)


async def test_cancelling_the_lifespan_task_starts_the_teardown(journal: Journal) -> None:
    """It runs to its end, and the cancellation is raised again after it."""

    @resource
    async def slow() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(5)
        journal.append("slow closes")

    started = asyncio.get_running_loop().create_future()

    async def receive() -> dict[str, Any]:
        if not started.done():
            return {"type": "lifespan.startup"}
        return await asyncio.get_running_loop().create_future()

    async def send(message: dict[str, Any]) -> None:
        started.set_result(None)

    task = asyncio.ensure_future(LifespanASGIHandler()({"type": "lifespan"}, receive, send))
    await started
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert journal == ["slow closes"]


async def test_cancelling_the_lifespan_task_lets_the_teardown_go_on(
    journal: Journal, settings: Any
) -> None:
    """It stays within the limit of the whole shutdown."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 4}

    @resource
    async def slow() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(3)
        journal.append("slow closes")

    @resource
    async def endless() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(60)

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    task = asyncio.ensure_future(driver.shutdown())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert journal == ["slow closes"]
    assert asyncio.get_running_loop().time() == pytest.approx(4)


async def test_a_second_cancellation_cuts_the_rest_to_a_second(journal: Journal) -> None:
    """After half of it the rest is cancelled, after the whole it is abandoned."""
    declare(journal, "a")

    @resource(requires=["a"])
    async def slow() -> AsyncIterator[None]:
        yield
        try:
            await asyncio.sleep(60)
        finally:
            journal.append("slow is cancelled")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    task = asyncio.ensure_future(driver.shutdown())
    for _ in range(2):
        await asyncio.sleep(1)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert asyncio.get_running_loop().time() == pytest.approx(2.5)
    assert journal == ["a opens", "slow is cancelled", "a closes"]


async def test_an_abandoned_resource_that_opens_after_all_is_closed_at_once(
    journal: Journal,
) -> None:
    """It was begun, so it is ended."""

    @resource(startup_timeout=1)
    async def deaf() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(10)
        journal.append("deaf opens")
        yield
        journal.append("deaf closes")

    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert not journal
    await asyncio.sleep(20)
    assert journal == ["deaf opens", "deaf closes"]


async def test_a_hung_receiver_is_cancelled_and_abandoned_too(
    journal: Journal, settings: Any
) -> None:
    """The resources close all the same."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 5}
    declare(journal, "a")

    async def hangs(**_: Any) -> None:
        await asyncio.sleep(60)

    asgi_shutdown.connect(hangs)
    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match="waiting for: the signal receivers"):
        await driver.shutdown()
    assert journal == ["a opens", "a closes"]
