"""The calls of a server, found by the names of its functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from django_asgi_lifespan.adapters import calls, variables_on_stack


async def serve(number: int) -> None:
    """Stand for a function of a server that waits."""
    await wait_for(number + 1)


async def wait_for(inner: int) -> None:
    """Stand for a function that the one of the server awaits."""
    await asyncio.Event().wait()


async def test_the_calls_of_all_tasks_are_found() -> None:
    """Those that a task was made of, and those that they await, with their variables."""
    tasks = [asyncio.ensure_future(serve(number)) for number in (1, 3)]
    await asyncio.sleep(0)
    found = calls(__name__, "serve")
    assert sorted((call.task in tasks, call.variables["number"]) for call in found) == [
        (True, 1),
        (True, 3),
    ]
    assert {call.variables["inner"] for call in calls(__name__, "wait_for")} == {2, 4}
    assert len(calls(__name__, "serve", "wait_for")) == 4
    assert calls("another.module", "serve") == []
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert calls(__name__, "serve") == []


async def test_the_function_of_the_current_task_is_found() -> None:
    """An adapter is asked in the task that the server has made."""

    async def main(value: int) -> list[object]:
        return [call.variables["value"] for call in calls(__name__, main.__qualname__)]

    assert await asyncio.ensure_future(main(5)) == [5]


async def test_a_task_that_has_not_begun_has_no_awaited_call() -> None:
    """Its own function is known already."""
    task = asyncio.ensure_future(serve(1))
    assert [call.task for call in calls(__name__, "serve")] == [task]
    assert calls(__name__, "wait_for") == []
    task.cancel()
    await asyncio.wait({task})


def run_server(value: int) -> object:
    """Stand for the function of a server that runs the event loop."""
    return asyncio.run(look(value))


async def look(expected: int) -> object:
    """Stand for an adapter, inside a context manager of an application."""

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[object]:
        by_function = variables_on_stack(run_server)
        by_name = variables_on_stack("run_server")
        assert by_function is not None
        assert by_name is not None
        yield by_function["value"] == by_name["value"] == expected

    async with lifespan() as result:
        return result


def test_a_call_is_found_on_the_stack() -> None:
    """By the function or by its name, from inside the event loop that it runs."""
    assert run_server(7) is True


def test_a_call_that_has_returned_is_not_on_the_stack() -> None:
    """Nor one that never was."""
    assert variables_on_stack(run_server) is None
    assert variables_on_stack("no_such_function") is None
