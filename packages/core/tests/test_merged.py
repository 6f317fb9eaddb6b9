"""Merging into the state: Starlette-style lifespans, and who wins a key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from django_asgi_lifespan import asgi_lifespan, resource, run_lifespan
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager


@pytest.mark.parametrize("decorated", [True, False])
async def test_a_starlette_style_lifespan_gets_the_application(decorated: bool) -> None:
    """The one inside of LifespanApplication. A mapping goes into the state key by key."""
    seen: list[Any] = []

    async def lifespan(app: object) -> AsyncIterator[dict[str, int]]:
        seen.append(app)
        yield {"one": 1, "two": 2}

    declared = resource(asynccontextmanager(lifespan) if decorated else lifespan)  # type: ignore[call-overload]
    handler = LifespanASGIHandler()
    for application in (handler, LifespanApplication(handler)):
        async with LifespanDriver(application) as state:
            assert state == {"one": 1, "two": 2}
            assert declared.get() == {"one": 1, "two": 2}
    assert seen == [handler, handler]


async def test_what_is_no_mapping_goes_there_under_its_name() -> None:
    """As that of any resource."""

    @resource
    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        yield

    async with run_lifespan() as state:
        assert state == {"lifespan": None}


def _manager(**entries: object) -> Any:
    @asynccontextmanager
    async def manager() -> AsyncIterator[dict[str, object]]:
        yield entries

    return manager


async def test_the_first_that_was_declared_wins_a_key(caplog: pytest.LogCaptureFixture) -> None:
    """A warning names both."""

    @resource
    async def client() -> AsyncIterator[str]:
        yield "of the resource"

    register_lifespan_manager(context_manager=_manager(client="of the manager", other="other"))
    async with run_lifespan() as state:
        assert state == {"client": "of the resource", "other": "other"}
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.getMessage() == (
        f"Both client and {__name__}._manager.<locals>.manager put 'client' into the state; the "
        f"first one, declared first, wins. Rename one of them. [lifespan-state-key]"
    )


async def test_asgi_lifespan_receivers_may_return_a_manager() -> None:
    """Or nothing, and receivers without parameters too."""
    seen: list[str] = []

    async def receiver(scope: Any, state: Any, **_: Any) -> Any:
        seen.append(scope["type"])
        return _manager(a=1)

    async def nothing() -> None:
        seen.append("nothing")

    asgi_lifespan.connect(receiver)
    asgi_lifespan.connect(nothing)
    async with run_lifespan() as state:
        assert state == {"a": 1}
    assert seen == ["lifespan", "nothing"]


async def test_a_cancelled_asgi_lifespan_receiver_starts_nothing() -> None:
    """The cancellation goes on its way."""
    begun = asyncio.get_running_loop().create_future()

    async def receiver(**_: Any) -> None:
        begun.set_result(None)
        await asyncio.sleep(60)

    asgi_lifespan.connect(receiver)
    starting = asyncio.ensure_future(LifespanDriver(LifespanASGIHandler()).startup())
    await begun
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
