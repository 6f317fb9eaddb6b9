"""A startup that takes long names at WARNING what it waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import StartupFailedError, asgi_lifespan, asgi_startup, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return our lines of the log at WARNING and above."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.levelno >= logging.WARNING and each.name == "django_asgi_lifespan"
    ]


def goes_on(seconds: float, names: str) -> str:
    """Return the line about a startup that goes on."""
    return (
        f"The startup has taken {seconds:g} s and goes on, waiting for: {names} (STARTUP_WARNING)"
    )


def declare(name: str, seconds: float, **options: Any) -> None:
    """Declare a resource that takes so many seconds to open."""

    async def factory() -> AsyncIterator[None]:
        await asyncio.sleep(seconds)
        yield

    resource(factory, name=name, **options)


async def start(*, cancel_after: float | None = None) -> None:
    """Start and stop a handler, and cancel the startup after so many seconds."""
    driver = LifespanDriver(LifespanASGIHandler())
    startup = asyncio.ensure_future(driver.startup())
    if cancel_after is not None:
        asyncio.get_running_loop().call_later(cancel_after, startup.cancel)
    await startup
    await driver.shutdown()


async def test_a_startup_names_the_pending_at_each_doubling(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those that wait for others are not named."""
    declare("fast", 1)
    declare("catalogue", 7, requires=["fast"])
    declare("search", 18, requires=["catalogue"])
    declare("model", 12)
    await start()
    assert warnings(caplog) == [
        goes_on(5, "catalogue, model"),
        goes_on(10, "search, model"),
        goes_on(20, "search"),
    ]


async def test_a_startup_that_blocked_the_event_loop_names_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The warning comes when the loop turns again, perhaps before the next resource begins."""

    @resource
    async def blocking() -> AsyncIterator[None]:
        loop: Any = asyncio.get_running_loop()
        loop.pass_time(6)
        yield

    declare("pool", 0, requires=[blocking])
    await start()
    [warning] = warnings(caplog)
    assert warning in (goes_on(6, "pool"), goes_on(6, "pool, the signal receivers"))


async def test_a_startup_in_time_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """Neither then nor while it serves."""
    declare("pool", 4.9)
    async with LifespanDriver(LifespanASGIHandler()):
        await asyncio.sleep(60)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(None, []), (0.25, [goes_on(0.2, "pool"), goes_on(0.5, "pool")]), (2, [])],
)
async def test_the_setting_has_the_seconds(
    setting: float | None, expected: list[str], settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """None never warns."""
    settings.ASGI_LIFESPAN = {"STARTUP_WARNING": setting}
    declare("pool", 0.9)
    await start()
    assert warnings(caplog) == expected


async def test_a_startup_that_is_cancelled_names_the_pending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As an OS signal does under the adapters, and the time limit of a server."""
    declare("pool", 1000)
    with pytest.raises(asyncio.CancelledError):
        await start(cancel_after=7)
    assert warnings(caplog) == [
        goes_on(5, "pool"),
        "The startup is interrupted, waiting for: pool",
    ]


async def test_a_startup_at_its_limit_names_the_pending(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """At ERROR, because it is the reason."""
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 12}
    declare("pool", 1000)
    with pytest.raises(StartupFailedError):
        await start()
    assert warnings(caplog) == [
        goes_on(5, "pool"),
        goes_on(10, "pool"),
        "The startup did not complete within 12 s (STARTUP_TIMEOUT), waiting for: pool",
    ]


async def test_a_failed_startup_waits_for_nothing_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Although it takes its time to close."""

    @resource
    async def pool() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(15)

    @resource(requires=[pool])
    async def broken() -> AsyncIterator[None]:
        await asyncio.sleep(6)
        raise OSError
        yield

    with pytest.raises(StartupFailedError):
        await start()
    assert warnings(caplog) == [goes_on(5, "broken"), "broken failed to start: OSError"]


async def test_a_blocked_event_loop_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """As soon as it turns again, with the seconds that have passed."""
    loop: Any = asyncio.get_running_loop()

    @resource
    async def model() -> AsyncIterator[None]:
        loop._jumping.now += 33  # code that blocks
        await asyncio.sleep(8)
        yield

    await start()
    assert warnings(caplog) == [goes_on(33, "model"), goes_on(40, "model")]


async def hangs(**_: object) -> None:
    """A receiver that takes long."""
    await asyncio.sleep(6)


async def answers(**_: object) -> None:
    """A receiver that does not."""


@pytest.mark.parametrize("signal", [asgi_startup, asgi_lifespan], ids=["asgi_startup", "0.5"])
async def test_the_receiver_that_takes_long_is_named(
    signal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Of several."""
    signal.connect(answers)
    signal.connect(hangs)
    signal.connect(answers, dispatch_uid="later")
    await start()
    name = f"the signal receivers ({hangs.__module__}.hangs)"
    assert warnings(caplog) == [goes_on(5, name)]


@pytest.mark.parametrize("signal", [asgi_startup, asgi_lifespan], ids=["asgi_startup", "0.5"])
async def test_the_receiver_that_is_given_up_is_named(
    signal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """At a cancellation."""
    signal.connect(hangs)
    with pytest.raises(asyncio.CancelledError):
        await start(cancel_after=3)
    name = f"the signal receivers ({hangs.__module__}.hangs)"
    assert warnings(caplog) == [f"The startup is interrupted, waiting for: {name}"]
