"""A resource that was begun is ended exactly once, however the lifespan ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import (
    ResourceUnavailableError,
    StartupFailedError,
    asgi_shutdown,
    resource,
)
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare, lifespan_messages
from virtual_clock import VirtualClockLoop


async def test_a_resource_is_ended_once_after_the_shutdown_message(journal: Journal) -> None:
    """Opened once, closed once."""
    declare(journal, "a")
    await lifespan_messages(LifespanASGIHandler())
    assert journal == ["a opens", "a closes"]


@pytest.mark.parametrize("where", ["startup.complete", "receive"])
async def test_a_resource_is_ended_once_when_the_server_raises(
    journal: Journal, where: str
) -> None:
    """An exception from ``send`` or ``receive`` closes everything, and goes on its way."""
    declare(journal, "a")
    messages = [{"type": "lifespan.startup"}]

    async def receive() -> dict[str, Any]:
        if not messages:
            raise OSError("receive broke")
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        if where == "startup.complete":
            raise OSError("send broke")

    with pytest.raises(OSError, match="broke"):
        await LifespanASGIHandler()({"type": "lifespan"}, receive, send)
    assert journal == ["a opens", "a closes"]


@pytest.mark.parametrize("after", [0, 0.5, 1.5, 2.5, 3.5])
async def test_a_resource_is_ended_once_when_the_lifespan_task_is_cancelled(
    journal: Journal, after: float
) -> None:
    """Before the first step, while opening, while running, while closing."""
    handler = LifespanASGIHandler()

    @resource
    async def slow() -> AsyncIterator[None]:
        journal.append("opens")
        try:
            await asyncio.sleep(1)
            yield
            await asyncio.sleep(1)
        finally:
            journal.append("closes")

    async def use() -> None:
        async with LifespanDriver(handler):
            await asyncio.sleep(1)

    task = asyncio.ensure_future(use())
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.wait([task])
    assert journal in (["opens", "closes"], [])
    assert task.cancelled() == (after < 3)


@pytest.mark.parametrize("moment", ["starting", "running", "stopping"])
def test_if_the_loop_closes_without_cancelling_nothing_can_run(
    journal: Journal, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """Coroutines that are left are only closed: they await nothing and raise nothing."""
    loop = VirtualClockLoop()
    a = declare(journal, "a")

    @resource(requires=[a])
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(2)
        yield

    async def receiver(**_: Any) -> None:
        await asyncio.sleep(2)

    async def live() -> None:
        async with LifespanDriver(LifespanASGIHandler()):
            await asyncio.sleep(2)

    asgi_shutdown.connect(receiver)
    lifespan = loop.create_task(live())
    moments = {"starting": 1, "running": 3, "stopping": 5}
    loop.run_until_complete(asyncio.sleep(moments[moment]))
    assert not lifespan.done()
    for task in asyncio.all_tasks(loop):
        coroutine: Any = task.get_coro()
        coroutine.close()  # as the garbage collector does
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own complaint
    loop.close()
    assert journal == ["a opens"]
    assert not caplog.records
    with pytest.raises(ResourceUnavailableError, match="a is not available: the lifespan"):
        a.get()


async def test_the_exit_gets_no_exception_and_its_return_value_is_ignored() -> None:
    """Also when the startup of another failed. Returning True suppresses nothing."""
    exits: list[Any] = []

    class Manager:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *exception: object) -> bool:
            exits.append(exception)
            return True

    @resource(requires=[resource(Manager, name="manager")])
    async def broken() -> AsyncIterator[None]:
        raise ValueError
        yield

    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert exits == [(None, None, None)]


@pytest.mark.parametrize(
    ("count", "rest"),
    [(10, ""), (11, "; and 1 more: see the log"), (1_234, "; and 1,224 more: see the log")],
)
@pytest.mark.parametrize("phase", ["start", "stop"])
async def test_of_many_failures_the_message_names_the_first_ten(
    count: int, rest: str, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And how many others there are. The log has each."""

    async def broken() -> AsyncIterator[None]:
        if phase == "stop":
            yield
        raise ValueError("no luck")
        yield

    for index in range(count):
        resource(broken, name=f"broken_{index}")
    *_, failed = await lifespan_messages(LifespanASGIHandler())
    failures = {f"broken_{index} failed to {phase}: ValueError: no luck" for index in range(count)}
    assert set(caplog.messages) == failures
    assert failed["message"].endswith(rest)
    named = failed["message"].removesuffix(rest).split("; ")
    assert len(named) == 10
    assert set(named) <= failures


@pytest.mark.parametrize("outcome", ["fails", "hangs", "raises SystemExit"])
async def test_one_that_does_not_stop_does_not_stop_the_others(
    journal: Journal, outcome: str, settings: Any
) -> None:
    """They are closed in their turn, and the failed message names the culprits alone."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 10}
    declare(journal, "a")

    async def broken() -> AsyncIterator[None]:
        yield
        if outcome == "fails":
            raise ValueError("no")
        if outcome == "raises SystemExit":
            raise SystemExit(3)
        await asyncio.get_running_loop().create_future()

    resource(broken, name="first", requires=["a"])
    resource(broken, name="second", requires=["a"])
    declare(journal, "c", requires=["first", "second"])
    [_, message] = await lifespan_messages(LifespanASGIHandler())
    assert message["type"] == "lifespan.shutdown.failed"
    assert "first" in message["message"]
    assert "second" in message["message"]
    assert "a failed" not in message["message"]
    assert journal == ["a opens", "c opens", "c closes", "a closes"]
