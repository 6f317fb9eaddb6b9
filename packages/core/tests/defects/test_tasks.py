"""d03 and d04: objects that are bound to a task work across the yield."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from defects.helpers import STARTED, STOPPED, Journal, Server
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager


async def test_d03_a_manager_may_hold_an_anyio_task_group(journal: Journal) -> None:
    """Its cancel scope is exited in the task that entered it."""

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield {}
            group.cancel_scope.cancel()
        journal.append("closed")

    register_lifespan_manager(context_manager=factory)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    assert await server.stop() == STOPPED
    assert journal == ["closed"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has it since Python 3.11")
async def test_d04_a_manager_may_hold_an_asyncio_task_group(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """A child that crashes ends the others and the manager at once, which is logged."""

    async def child() -> None:
        await asyncio.sleep(1)
        raise ValueError("the child crashed")

    async def other_child() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            journal.append("the other child ends")

    @contextlib.asynccontextmanager
    async def consumer() -> AsyncIterator[dict[str, Any]]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                group.create_task(other_child())
                yield {}
        finally:
            journal.append("the group ends")

    register_lifespan_manager(context_manager=consumer)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    await asyncio.sleep(2)
    assert journal == ["the other child ends", "the group ends"]
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "consumer" in record.getMessage()
    assert "ValueError: the child crashed" in caplog.text
    await server.stop()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has it since Python 3.11")
async def test_d04_a_manager_may_hold_an_asyncio_timeout(journal: Journal) -> None:
    """Met in the exit, it interrupts the exit."""

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        try:
            async with asyncio.timeout(5):
                yield {}
                await asyncio.sleep(100)
        except TimeoutError:
            journal.append("timed out")

    register_lifespan_manager(context_manager=factory)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    assert await server.stop() == STOPPED
    assert journal == ["timed out"]


async def test_d04_a_manager_may_reset_a_context_variable(journal: Journal) -> None:
    """Enter and exit run in one context."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        token = variable.set("set")
        yield {}
        variable.reset(token)
        journal.append(variable.get())

    register_lifespan_manager(context_manager=factory)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    assert await server.stop() == STOPPED
    assert journal == ["unset"]


async def test_d04_a_crashed_child_is_noticed_when_it_crashes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error with its traceback names the manager, long before the shutdown."""

    async def child() -> None:
        await anyio.sleep(1)
        raise ValueError("the child crashed")

    @contextlib.asynccontextmanager
    async def consumer() -> AsyncIterator[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
            yield {}

    register_lifespan_manager(context_manager=consumer)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    await asyncio.sleep(2)
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "consumer" in record.getMessage()
    assert "ValueError: the child crashed" in caplog.text
    await server.stop()
