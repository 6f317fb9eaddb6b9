"""Strict tests, which fail where something is left behind."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from django_asgi_lifespan import resource, run_lifespan_sync
from django_asgi_lifespan.testing import LifespanTestCase, leftovers, run_lifespan_around_test
from django_asgi_lifespan.testing.in_loop import helper_thread, run_lifespan_in_loop
from test_cases import execute, run

pytestmark = pytest.mark.real_clock


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "GRACE", 0.05)


@pytest.fixture
def later() -> Iterator[ExitStack]:
    """End things after the test."""
    with ExitStack() as stack:
        yield stack


def left_by(act: Callable[[], object]) -> str:
    """Return the message of a strict test that does *act*."""
    with pytest.raises(AssertionError) as failure, run_lifespan_around_test(strict=True):
        act()
    return str(failure.value)


def test_a_task_is_named() -> None:
    """With its function."""

    @resource
    async def one() -> AsyncIterator[None]:
        task = asyncio.create_task(asyncio.Event().wait(), name="work")
        yield
        del task

    assert left_by(list) == (
        "The test left behind: the task 'work' of Event.wait(). End or close each in the "
        "resource, or the test, that began it. (Strict, as --lifespan-strict says.) "
        "[lifespan-left-behind]"
    )


def test_a_task_may_end_by_itself() -> None:
    """As one does that was cancelled."""

    @resource
    async def one() -> AsyncIterator[None]:
        task = asyncio.create_task(asyncio.Event().wait())
        yield
        task.cancel()

    with run_lifespan_around_test(strict=True):
        pass


def test_a_thread_is_named(later: ExitStack) -> None:
    """It may end within a second."""
    goes_on = threading.Event()
    thread = threading.Thread(target=goes_on.wait, name="worker")
    later.callback(thread.join)
    later.callback(goes_on.set)
    assert "left behind: the thread 'worker'." in left_by(thread.start)


def test_an_open_connection_is_named(later: ExitStack) -> None:
    """With its address."""
    server = later.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = server.getsockname()[1]

    def connect() -> None:
        later.enter_context(socket.create_connection(("127.0.0.1", port)))

    assert f"left behind: a connection to 127.0.0.1:{port}." in left_by(connect)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Windows has no such sockets")
def test_an_open_socket_is_named(later: ExitStack, tmp_path: Path) -> None:
    """Pairs, such as those of event loops, are not."""

    def listen() -> None:
        path = os.path.relpath(tmp_path / "socket")
        later.enter_context(socket.socket(socket.AF_UNIX)).bind(path)
        for each in socket.socketpair():
            later.enter_context(each)

    assert "left behind: a socket at " in (message := left_by(listen))
    assert ", a " not in message


def test_a_connection_to_a_database_is_named(later: ExitStack) -> None:
    """With its thread. That of the test stays open, as its runner has it."""

    def ask() -> None:
        connection.close()
        execute("SELECT 1")
        with later.pop_all() as stack:
            thread = threading.Thread(target=query, args=(stack, done), name="worker")
            thread.start()
            done.wait()
            goes_on.set()
            thread.join()

    def query(stack: ExitStack, done: threading.Event) -> None:
        kept.append(connections["default"])
        execute("SELECT 1")
        done.set()
        goes_on.wait()

    done, goes_on = threading.Event(), threading.Event()
    kept: list[Any] = []
    message = left_by(ask)
    for each in kept:
        each.inc_thread_sharing()
        each.connection.close()
    assert (
        "left behind: a connection to the database 'default', which the thread 'worker' opened."
    ) in message


def test_an_open_resource_is_named(later: ExitStack) -> None:
    """And the thread of its lifespan."""

    @resource
    async def one() -> AsyncIterator[None]:
        yield

    message = left_by(lambda: later.enter_context(run_lifespan_sync(only=[one])))
    assert (
        "left behind: the thread 'lifespan', a lifespan, whose open resources are one." in message
    )


def test_the_socket_of_the_connection_of_the_test_does_not_count(
    later: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver says which it is."""
    one = later.enter_context(socket.create_server(("127.0.0.1", 0)))
    found = len(leftovers._sockets())
    wrapper = SimpleNamespace(connection=SimpleNamespace(fileno=one.fileno))
    monkeypatch.setattr(leftovers, "connections", SimpleNamespace(all=lambda **_: [wrapper]))
    assert len(leftovers._sockets()) == found - 1


def test_systems_without_a_list_of_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """There sockets are not seen."""
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert leftovers._sockets() == set()


async def test_a_test_in_the_event_loop() -> None:
    """Of pytest-asyncio or anyio."""

    async def leave(name: str) -> asyncio.Task[Any]:
        await sync_to_async(execute)("SELECT 1")
        await asyncio.to_thread(list)
        return asyncio.create_task(asyncio.Event().wait(), name=name)

    def close() -> None:
        """Close the connection of the thread, because no transaction of the test shares its own."""
        connection.connection.close()

    earlier = asyncio.create_task(asyncio.Event().wait())
    with helper_thread() as thread:
        async with run_lifespan_in_loop(thread, strict=True):
            (await leave("ends")).cancel()
        with pytest.raises(AssertionError, match="left behind: the task 'work' of"):
            async with run_lifespan_in_loop(thread, strict=True):
                work = await leave("work")
        thread.submit(close).result()
    for task in (earlier, work):
        task.cancel()


def test_a_strict_test_case() -> None:
    """It fails. The failure of a test itself stays."""

    class Pages(LifespanTestCase):
        lifespan_strict = True

        def test_left(self) -> None:
            self.lifespan.run(self.begin())

        async def begin(self) -> None:
            self.task = asyncio.create_task(asyncio.Event().wait(), name="work")

    result = run(Pages)
    [(_, text)] = result.failures
    assert "the task 'work'" in text
    assert not result.errors


def test_an_exception_in_the_block_stays() -> None:
    """It is the reason for anything that is left."""

    async def begin() -> asyncio.Task[Any]:
        return asyncio.create_task(asyncio.Event().wait())

    def fail() -> None:
        with run_lifespan_around_test(strict=True) as running:
            running.run(begin())
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
