"""Resources start after those that they require, then receivers; the end is the reverse."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import (
    ShutdownFailedError,
    StartupFailedError,
    asgi_shutdown,
    asgi_startup,
    get_state,
    resource,
)
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare


async def test_resources_start_in_dependency_order(journal: Journal) -> None:
    """A required resource is open before its dependants, in any order of declaration."""
    declare(journal, "c", requires=["b"])
    declare(journal, "b", requires=["a"])
    declare(journal, "a")
    async with LifespanDriver(LifespanASGIHandler()):
        assert journal == ["a opens", "b opens", "c opens"]


async def test_resources_that_do_not_depend_on_each_other_start_at_the_same_time() -> None:
    """Two that take a second each have started after a second."""

    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        yield

    resource(slow, name="one")
    resource(slow, name="two")
    async with LifespanDriver(LifespanASGIHandler()):
        assert asyncio.get_running_loop().time() == pytest.approx(1)


async def test_startup_receivers_are_called_when_every_resource_has_started(
    journal: Journal,
) -> None:
    """They can get every resource, and find it in the state."""
    a = declare(journal, "a")

    async def receiver(state: dict[str, Any], **_: Any) -> None:
        assert a.get() == state["a"] == get_state()["a"] == "value of a"
        journal.append("startup")

    asgi_startup.connect(receiver)
    async with LifespanDriver(LifespanASGIHandler()):
        assert journal == ["a opens", "startup"]


@pytest.mark.real_clock
async def test_receivers_are_called_in_connection_order(journal: Journal) -> None:
    """Sync and async ones alike, one after the other."""

    async def first(**_: Any) -> None:
        await asyncio.sleep(0.01)
        journal.append("first")

    async def third(**_: Any) -> None:
        journal.append("third")

    asgi_startup.connect(first)
    asgi_startup.connect(lambda **_: journal.append("second"), dispatch_uid="second")
    asgi_startup.connect(third)
    async with LifespanDriver(LifespanASGIHandler()):
        assert journal == ["first", "second", "third"]


async def test_the_first_failing_startup_receiver_stops_the_rest(journal: Journal) -> None:
    """The startup fails with its name, later receivers are not called, resources are closed."""
    declare(journal, "a")

    async def fails(**_: Any) -> None:
        raise ValueError("no luck")

    async def never(**_: Any) -> None:
        journal.append("never")

    asgi_startup.connect(fails)
    asgi_startup.connect(never)
    with pytest.raises(StartupFailedError, match=r"receiver .*fails failed: ValueError: no luck"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["a opens", "a closes"]


async def test_shutdown_receivers_are_called_first_while_every_resource_still_works(
    journal: Journal,
) -> None:
    """They get every resource and the state. Then the resources close."""
    a = declare(journal, "a")

    async def receiver(state: dict[str, Any], **_: Any) -> None:
        assert a.get() == state["a"]
        journal.append("shutdown")

    asgi_shutdown.connect(receiver)
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert journal == ["a opens", "shutdown", "a closes"]


async def test_every_shutdown_receiver_is_called_and_failures_are_collected(
    journal: Journal,
) -> None:
    """The message names all that failed, and the resources close all the same."""
    declare(journal, "a")

    async def first(**_: Any) -> None:
        raise ValueError("one")

    async def second(**_: Any) -> None:
        raise SystemExit(2)

    async def third(**_: Any) -> None:
        journal.append("third")

    for receiver in (first, second, third):
        asgi_shutdown.connect(receiver)
    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(
        ShutdownFailedError, match=r"first failed: ValueError: one; .*second failed: SystemExit: 2"
    ):
        await driver.shutdown()
    assert journal == ["a opens", "third", "a closes"]


async def test_resources_stop_dependants_before_what_they_require(journal: Journal) -> None:
    """The order of the shutdown does not follow the speed of the startup."""
    declare(journal, "a")
    declare(journal, "c", requires=["a", "b"])
    declare(journal, "b", requires=["a"])
    async with LifespanDriver(LifespanASGIHandler()):
        journal.clear()
    assert journal == ["c closes", "b closes", "a closes"]


async def test_the_receivers_of_both_signals_run_in_one_task() -> None:
    """A value that a startup receiver sets in the context is there in a shutdown receiver."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    tasks = []

    async def startup(**_: Any) -> None:
        variable.set("set at startup")
        tasks.append(asyncio.current_task())

    async def shutdown(**_: Any) -> None:
        assert variable.get() == "set at startup"
        tasks.append(asyncio.current_task())

    asgi_startup.connect(startup)
    asgi_shutdown.connect(shutdown)
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]
