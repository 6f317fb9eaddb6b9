"""Cancellations of the whole loop, of one resource, and before its first step."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import pytest

from django_asgi_lifespan import ShutdownFailedError, StartupFailedError, resource, run_lifespan
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare
from supervisor_model.scenario import plain_tasks
from virtual_clock import VirtualClockLoop


@pytest.mark.parametrize("receive_in_a_task", [False, True])
def test_a_cancellation_of_the_whole_loop_does_not_upset_the_order(
    journal: Journal, receive_in_a_task: bool
) -> None:
    """It reaches the resources at their yields, and each still waits for its turn."""
    for name, requires in (("c", ["b"]), ("b", ["a"]), ("a", [])):
        declare(journal, name, requires=requires)
    loop = VirtualClockLoop()
    answers: list[str] = []

    async def receive() -> dict[str, Any]:
        if not answers:
            return {"type": "lifespan.startup"}
        shutdown: asyncio.Future[dict[str, Any]] = loop.create_future()
        return await (asyncio.wait_for(shutdown, 60) if receive_in_a_task else shutdown)

    async def send(message: dict[str, Any]) -> None:
        answers.append(message["type"])

    handler = LifespanASGIHandler()
    task = loop.create_task(handler({"type": "lifespan"}, receive, send))
    loop.run_until_complete(asyncio.sleep(1))
    everything = asyncio.all_tasks(loop)
    for each in everything:
        each.cancel()
    loop.run_until_complete(asyncio.wait(everything))
    loop.close()
    assert task.cancelled()
    assert answers == ["lifespan.startup.complete"]
    assert journal[3:] == ["c closes", "b closes", "a closes"]


@pytest.mark.parametrize("others", [0, 1])
def test_a_cancellation_of_the_whole_loop_is_absorbed_by_a_task_group_of_anyio(others: int) -> None:
    """Its own cancellation of its host, as it ends, is not taken for a second one of the loop.

    In any order in which the loop cancels its tasks.
    """
    absorbed: list[str] = []

    @resource
    async def jobs() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield
            group.cancel_scope.cancel()
        absorbed.append("after the group")

    for index in range(others):
        declare([], f"other_{index}")

    def live(order: Sequence[int] | None) -> int:
        loop = VirtualClockLoop()
        loop.run_until_complete(LifespanDriver(LifespanASGIHandler()).startup())
        everything = sorted(asyncio.all_tasks(loop), key=asyncio.Task.get_name)
        for index in order or range(len(everything)):
            everything[index].cancel()
        loop.run_until_complete(asyncio.wait(everything))
        loop.close()
        return len(everything)

    orders = list(itertools.permutations(range(live(None))))
    for order in orders:
        live(order)
    assert len(absorbed) == 1 + len(orders)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks have it since Python 3.11")
def test_a_swallowed_cancellation_is_taken_back(journal: Journal) -> None:
    """A timeout in the exit works as if the task had never been cancelled."""

    @resource
    async def limited() -> AsyncIterator[None]:
        yield
        task = asyncio.current_task()
        assert task is not None
        journal.append(f"cancelling() is {task.cancelling()}")

    loop = VirtualClockLoop()
    driver = LifespanDriver(LifespanASGIHandler())
    loop.run_until_complete(driver.startup())
    everything = asyncio.all_tasks(loop)
    for task in everything:
        task.cancel()
    loop.run_until_complete(asyncio.wait(everything))
    loop.close()
    assert journal == ["cancelling() is 0"]


async def test_a_second_cancellation_at_the_yield_counts_as_dying(journal: Journal) -> None:
    """It leaves at once, with the cancellation as its exception."""

    @resource
    async def target() -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        try:
            yield
        except asyncio.CancelledError:
            journal.append("target leaves")
            raise

    tasks: list[Any] = []

    @resource(requires=[target])
    async def slow() -> AsyncIterator[None]:
        yield
        tasks[0].cancel()
        await asyncio.sleep(1)
        assert not journal
        tasks[0].cancel()
        await asyncio.sleep(1)
        journal.append("slow closes")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match="target died while it was running"):
        await driver.shutdown()
    assert journal == ["target leaves", "slow closes"]


async def test_a_cancellation_while_the_lifespan_is_not_ending_counts_as_dying(
    journal: Journal,
) -> None:
    """It leaves at once. That others require it does not hold it."""
    tasks: list[Any] = []

    @resource
    async def target() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        try:
            yield "value"
        finally:
            journal.append("target closes")

    declare(journal, "dependant", requires=[target])
    async with LifespanDriver(LifespanASGIHandler()):
        tasks[0].cancel()
        await asyncio.sleep(1)
        assert journal == ["dependant opens", "target closes"]
    assert journal == ["dependant opens", "target closes", "dependant closes"]


async def test_a_cancellation_reaches_the_code_that_opens_or_closes(journal: Journal) -> None:
    """A cancelled lifespan cancels each opening. The code sees it and can clean up."""

    @resource
    async def opening() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            journal.append("opening is cancelled")
            raise
        yield

    task = asyncio.ensure_future(LifespanDriver(LifespanASGIHandler()).startup())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert journal == ["opening is cancelled"]


async def test_one_that_cancels_itself_and_fails_at_once_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its error. It is not taken for one that was cancelled before its first step."""

    @resource
    async def hasty() -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        raise ValueError("no luck")
        yield

    with pytest.raises(StartupFailedError, match=r"^hasty failed to start: ValueError: no luck$"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert caplog.messages == ["hasty failed to start: ValueError: no luck"]


async def test_what_is_cancelled_before_its_first_step_was_never_begun(journal: Journal) -> None:
    """It neither opens nor closes, and the startup fails."""
    # Without a task factory, Python 3.12 and newer take that step at once.
    asyncio.get_running_loop().set_task_factory(plain_tasks)

    @resource
    async def first() -> AsyncIterator[None]:
        for task in asyncio.all_tasks():
            if task.get_name().endswith("second"):
                task.cancel()
        yield

    declare(journal, "second")
    with pytest.raises(StartupFailedError, match=r"^second failed to start: CancelledError$"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert not journal


async def test_resources_that_never_wait_leave_the_loop_its_turns(journal: Journal) -> None:
    """So that a cancellation comes before those that require them start."""

    @resource
    async def first() -> AsyncIterator[None]:
        asyncio.get_running_loop().call_soon(startup.cancel)
        yield

    declare(journal, "second", requires=["first"])
    startup = asyncio.create_task(run_lifespan().__aenter__())
    with pytest.raises(asyncio.CancelledError):
        await startup
    assert not journal


async def test_the_task_factory_of_the_loop_makes_the_tasks_of_resources(journal: Journal) -> None:
    """As a tool that watches tasks expects."""
    tasks: list[asyncio.Task[Any]] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(plain_tasks(loop, coroutine, **options))
        return tasks[-1]

    asyncio.get_running_loop().set_task_factory(factory)
    declare(journal, "a")
    async with run_lifespan():
        assert "a" in [task.get_name() for task in tasks]
