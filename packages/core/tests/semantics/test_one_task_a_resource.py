"""Each resource has one task, for its enter and its exit both."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from django_asgi_lifespan import StartupFailedError, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal


async def test_a_resource_enters_and_exits_in_one_task_of_its_own() -> None:
    """Not in the lifespan's task, nor in that of another resource."""
    tasks: dict[str, list[Any]] = {"a": [], "b": []}

    def watch(name: str) -> None:
        async def factory() -> AsyncIterator[None]:
            tasks[name].append(asyncio.current_task())
            yield
            tasks[name].append(asyncio.current_task())

        resource(factory, name=name)

    watch("a")
    watch("b")
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert tasks["a"][0] is tasks["a"][1]
    assert tasks["b"][0] is tasks["b"][1]
    assert tasks["a"][0] is not tasks["b"][0]


async def test_an_anyio_task_group_works_across_the_yield(journal: Journal) -> None:
    """Its background task runs between startup and shutdown, and is cancelled at the end."""

    async def tick() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            journal.append("tick ends")

    @resource
    async def worker() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            yield
            group.cancel_scope.cancel()

    async with LifespanDriver(LifespanASGIHandler()):
        await asyncio.sleep(5)
        assert not journal
    assert journal == ["tick ends"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has it since Python 3.11")
async def test_asyncio_timeout_works_across_the_yield(journal: Journal) -> None:
    """A time limit that spans the yield and is not met does not disturb the exit."""

    @resource
    async def limited() -> AsyncIterator[None]:
        async with asyncio.timeout(10):
            yield
            await asyncio.sleep(1)
        journal.append("closed in time")

    async with LifespanDriver(LifespanASGIHandler()):
        await asyncio.sleep(5)
    assert journal == ["closed in time"]


async def test_a_context_variable_can_be_reset_across_the_yield() -> None:
    """The exit runs in the context of the enter, and the context leaks nowhere."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @resource
    async def setting() -> AsyncIterator[None]:
        token = variable.set("set")
        yield
        variable.reset(token)

    seen = []

    @resource(requires=[setting])
    async def looking() -> AsyncIterator[None]:
        seen.append(variable.get())
        yield

    async with LifespanDriver(LifespanASGIHandler()):
        assert variable.get() == "unset"
    assert seen == ["unset"]


@pytest.mark.parametrize("exception", [SystemExit(7), KeyboardInterrupt(), BaseException("base")])
async def test_no_exception_leaves_the_task_of_a_resource(exception: BaseException) -> None:
    """An exception that would end the event loop becomes a failed startup."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise exception
        yield

    with pytest.raises(
        StartupFailedError, match=f"broken failed to start: {type(exception).__name__}"
    ):
        await LifespanDriver(LifespanASGIHandler()).startup()


def test_system_exit_in_a_task_of_ones_own_ends_the_loop_and_closes_everything() -> None:
    """asyncio.run then cancels every task, and each resource still waits for its turn."""
    program = """
        import asyncio
        from django.conf import settings
        settings.configure()
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import get_asgi_application
        from django_asgi_lifespan.driver import LifespanDriver

        @resource
        async def required():
            yield
            print("required closes")

        @resource(requires=[required])
        async def dependant():
            yield
            print("dependant closes")

        async def leave():
            raise SystemExit(5)

        async def main():
            async with LifespanDriver(get_asgi_application()):
                task = asyncio.ensure_future(leave())
                await asyncio.sleep(60)

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["dependant closes", "required closes"], done.stderr
    assert done.returncode == 5
