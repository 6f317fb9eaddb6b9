"""The log of a lifespan that goes well."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import asgi_startup, resource, run_lifespan
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler


async def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return the lines that are logged at *level* during a lifespan."""
    caplog.set_level(level, logger="django_asgi_lifespan")
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == level and record.name == "django_asgi_lifespan"
    ]


async def test_each_phase_has_a_first_line_one_for_each_resource_and_a_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the time that each took, in milliseconds."""

    @resource
    async def http_client() -> AsyncIterator[None]:
        await asyncio.sleep(0.012)
        yield
        await asyncio.sleep(0.003)

    @resource(requires=[http_client])
    async def catalogue() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        yield

    assert await lines(caplog, logging.INFO) == [
        "Lifespan startup: 2 resources",
        "http_client started in 12 ms",
        "catalogue started in 1000 ms",
        "Lifespan startup complete in 1012 ms",
        "Lifespan shutdown: 2 resources",
        "catalogue stopped in 0 ms",
        "http_client stopped in 3 ms",
        "Lifespan shutdown complete in 3 ms",
    ]


async def test_the_rest_is_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    """Such as the time that the receivers took."""

    async def receiver(**_: object) -> None:
        await asyncio.sleep(0.5)

    asgi_startup.connect(receiver)
    assert await lines(caplog, logging.DEBUG) == [
        "the signal receivers started in 500 ms",
        "the signal receivers stopped in 0 ms",
    ]


async def test_with_receivers_alone_the_phases_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Something is registered then."""

    async def receiver(**_: object) -> None: ...

    asgi_startup.connect(receiver)
    assert [re.sub(r"\d+ ms", "N ms", line) for line in await lines(caplog, logging.INFO)] == [
        "Lifespan startup: 0 resources",
        "Lifespan startup complete in N ms",
        "Lifespan shutdown: 0 resources",
        "Lifespan shutdown complete in N ms",
    ]


@pytest.mark.parametrize(
    "case",
    [
        (True, logging.WARNING, True, ["INFO django_asgi_lifespan: Opened: http_client"]),
        (True, logging.INFO, True, []),
        (False, logging.WARNING, True, []),
        (True, logging.WARNING, False, []),
    ],
    ids=["no LOGGING", "the log shows INFO", "not DEBUG", "no server"],
)
async def test_with_debug_a_line_tells_what_a_server_opened(
    case: tuple[bool, int, bool, list[str]],
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the log does not."""

    @resource
    async def http_client() -> AsyncIterator[None]:
        yield

    debug, level, has_server, shown = case
    settings.DEBUG = debug
    caplog.set_level(level, logger="django_asgi_lifespan")
    async with LifespanDriver(LifespanASGIHandler()) if has_server else run_lifespan():
        pass
    assert capsys.readouterr().err.splitlines() == shown


async def test_with_debug_nothing_is_said_of_a_project_without_resources(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is there a line in the log."""
    settings.DEBUG = True
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert not capsys.readouterr().err
