"""The two Django signals: the kinds of receivers, and how they are called."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections

from django_asgi_lifespan import (
    LifespanError,
    ShutdownFailedError,
    StartupFailedError,
    asgi_lifespan,
    asgi_shutdown,
    asgi_startup,
    resource,
)
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.signals import LifespanSender

Calls = list[Any]

pytestmark = pytest.mark.real_clock  # sync receivers run in threads


@pytest.fixture
def calls() -> Calls:
    """The journal of the receivers of a test."""
    return []


async def live() -> None:
    """Start up and shut down."""
    async with LifespanDriver(LifespanASGIHandler()):
        pass


async def test_receivers_get_scope_state_signal_and_sender(calls: Calls) -> None:
    """Async and sync ones, at startup and at shutdown."""

    async def receiver(**arguments: Any) -> None:
        calls.append(arguments)

    def sync_receiver(**arguments: Any) -> None:
        calls.append(arguments)

    for signal in (asgi_startup, asgi_shutdown):
        signal.connect(receiver)
        signal.connect(sync_receiver)
    await live()
    assert [call["signal"] for call in calls] == [asgi_startup] * 2 + [asgi_shutdown] * 2
    for call in calls:
        assert set(call) == {"signal", "sender", "scope", "state"}
        assert call["sender"] is LifespanSender
        assert call["scope"]["type"] == "lifespan"
        assert call["state"] == {}


async def test_receivers_may_take_no_parameters_at_all(calls: Calls, settings: Any) -> None:
    """Async and sync ones, which Django itself refuses to connect in debug mode."""
    settings.DEBUG = True

    async def receiver() -> None:
        calls.append("async")

    def sync_receiver() -> None:
        calls.append("sync")

    asgi_startup.connect(receiver)
    asgi_startup.connect(sync_receiver)
    await live()
    assert calls == ["async", "sync"]


async def test_a_receiver_without_parameters_can_be_disconnected(calls: Calls) -> None:
    """By itself, or by the identifier it was connected with."""

    async def receiver() -> None:
        calls.append("called")

    asgi_startup.connect(receiver)
    assert asgi_startup.disconnect(receiver)
    asgi_startup.connect(receiver, dispatch_uid="mine")
    assert asgi_startup.disconnect(dispatch_uid="mine")
    await live()
    assert not calls


async def test_a_receiver_that_is_connected_twice_is_called_once(calls: Calls) -> None:
    """With and without parameters, as Django has it."""

    async def receiver() -> None:
        calls.append("without")

    async def other(**_: Any) -> None:
        calls.append("with")

    for _ in range(2):
        asgi_startup.connect(receiver)
        asgi_startup.connect(other)
    await live()
    assert calls == ["without", "with"]


@pytest.mark.parametrize("parameters", [True, False])
@pytest.mark.parametrize("weak", [True, False])
async def test_receivers_are_held_strongly_unless_asked_otherwise(
    calls: Calls, parameters: bool, weak: bool
) -> None:
    """A bound method of an object that nobody keeps is called, unless it was connected weakly."""

    class Receiver:
        async def with_parameters(self, **_: Any) -> None:
            calls.append("called")

        async def without_parameters(self) -> None:
            calls.append("called")

    receiver = Receiver()
    method = receiver.with_parameters if parameters else receiver.without_parameters
    asgi_startup.connect(method, weak=weak)
    await live()
    assert calls == ["called"]
    calls.clear()
    del receiver, method
    gc.collect()
    await live()
    assert calls == ([] if weak else ["called"])


@pytest.mark.parametrize("weak", [True, False])
async def test_functions_can_be_held_weakly_too(calls: Calls, weak: bool) -> None:
    """A local function without parameters is gone with its name, if that is asked for."""

    def receiver() -> None:
        calls.append("called")

    asgi_startup.connect(receiver, weak=weak)
    await live()
    del receiver
    gc.collect()
    await live()
    assert calls == (["called"] if weak else ["called", "called"])


async def test_receivers_of_another_sender_are_not_called(calls: Calls) -> None:
    """Those connected to our sender are."""

    async def receiver(**_: Any) -> None:
        calls.append("called")

    async def stranger(**_: Any) -> None:
        calls.append("stranger")

    asgi_startup.connect(receiver, sender=LifespanSender)
    asgi_startup.connect(stranger, sender=LifespanASGIHandler)
    await live()
    assert calls == ["called"]


async def test_a_callable_without_a_signature_gets_the_arguments() -> None:
    """As some that are written in C."""
    asgi_startup.connect(dict)
    await live()


async def test_an_object_with_an_async_call_is_awaited(calls: Calls) -> None:
    """Also behind functools.partial."""

    class Receiver:
        async def __call__(self, **_: Any) -> None:
            await asyncio.sleep(0)
            calls.append("object")

    async def receiver(word: str, **_: Any) -> None:
        calls.append(word)

    asgi_startup.connect(Receiver())
    asgi_startup.connect(functools.partial(receiver, "partial"))
    await live()
    assert calls == ["object", "partial"]


async def test_sync_receivers_run_in_a_thread_of_their_own(calls: Calls) -> None:
    """With a copy of the context, and async_to_sync reaches the loop that serves requests."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def first(**_: Any) -> None:
        variable.set("set before")

    def second(**_: Any) -> None:
        calls.extend((threading.current_thread(), variable.get(), async_to_sync(loop)()))

    asgi_startup.connect(first)
    asgi_startup.connect(second)
    await live()
    thread, value, found = calls
    assert thread is not threading.current_thread()
    assert thread.daemon
    assert thread.name.endswith("second")
    assert value == "set before"
    assert found is asyncio.get_running_loop()


async def test_the_database_connections_of_a_sync_receiver_are_closed(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing else could close those of its thread."""
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "db.sqlite3"))

    def receiver(**_: Any) -> None:
        connection.ensure_connection()
        calls.append(connection.connection)
        calls.append(calls[0].execute("SELECT 1").fetchone())

    asgi_startup.connect(receiver)
    await live()
    assert calls[1] == (1,)
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        calls[0].execute("SELECT 1")


async def test_a_failing_sync_receiver_fails_the_startup(calls: Calls) -> None:
    """As an async one does, also with SystemExit."""

    def receiver(**_: Any) -> None:
        raise SystemExit(4)

    asgi_startup.connect(receiver)
    with pytest.raises(StartupFailedError, match=r"receiver \S+receiver failed: SystemExit: 4"):
        await live()


async def test_a_hung_sync_receiver_delays_nothing(settings: Any) -> None:
    """Its thread is left to itself when the time limit has passed."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 0.1}
    release = threading.Event()
    ended = threading.Event()

    def receiver(**_: Any) -> None:
        release.wait(60)
        ended.set()

    asgi_shutdown.connect(receiver)
    with pytest.raises(ShutdownFailedError, match="the signal receivers"):
        await live()
    assert not ended.is_set()
    release.set()
    assert await asyncio.to_thread(ended.wait, 60)


async def test_a_cancelled_startup_reaches_the_receiver(calls: Calls) -> None:
    """The code of an async receiver sees the cancellation, and later ones are not called."""
    begun = asyncio.get_running_loop().create_future()

    async def receiver(**_: Any) -> None:
        begun.set_result(None)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            calls.append("cancelled")
            raise

    async def never(**_: Any) -> None:
        calls.append("never")

    asgi_startup.connect(receiver)
    asgi_startup.connect(never)
    task = asyncio.ensure_future(live())
    await begun
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert calls == ["cancelled"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_sync_receiver_ends_before_resources_close(
    calls: Calls, caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    """A cancelled startup waits for its thread, which uses them."""
    begun, released = threading.Event(), threading.Event()

    @resource
    async def pool() -> AsyncIterator[None]:
        yield
        calls.append("pool closes")

    def receiver() -> None:
        begun.set()
        released.wait(30)
        calls.append("receiver ends")
        if fails:
            raise ValueError

    asgi_startup.connect(receiver)
    startup = asyncio.ensure_future(LifespanDriver(LifespanASGIHandler()).startup())
    await asyncio.to_thread(begun.wait, 30)
    startup.cancel()
    for _ in range(100):
        await asyncio.sleep(0)
    assert calls == []
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await startup
    assert calls == ["receiver ends", "pool closes"]
    [interrupted] = [line for line in caplog.messages if "interrupted" in line]
    assert interrupted.startswith("The startup is interrupted, waiting for: the signal receivers (")
    assert interrupted.endswith(".receiver)")


async def test_a_hung_sync_receiver_is_abandoned_by_a_second_cancellation(calls: Calls) -> None:
    """Resources close then, although its thread goes on."""
    begun, released = threading.Event(), threading.Event()

    @resource
    async def pool() -> AsyncIterator[None]:
        yield
        calls.append("pool closes")

    def receiver() -> None:
        begun.set()
        released.wait(30)

    asgi_startup.connect(receiver)
    startup = asyncio.ensure_future(LifespanDriver(LifespanASGIHandler()).startup())
    await asyncio.to_thread(begun.wait, 30)
    startup.cancel()
    await asyncio.sleep(0)
    startup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await startup
    assert calls == ["pool closes"]
    released.set()


async def test_a_hung_sync_receiver_of_asgi_lifespan_is_left_to_itself(calls: Calls) -> None:
    """Nothing is open yet that it could use."""
    begun, released = threading.Event(), threading.Event()

    def receiver(**_: Any) -> None:
        begun.set()
        released.wait(30)
        calls.append("receiver ends")

    asgi_lifespan.connect(receiver)
    startup = asyncio.ensure_future(LifespanDriver(LifespanASGIHandler()).startup())
    await asyncio.to_thread(begun.wait, 30)
    startup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await startup
    assert calls == []
    released.set()


async def test_shutdown_receivers_are_not_called_after_a_failed_startup(calls: Calls) -> None:
    """A startup receiver itself closes the things that it opened before the failure."""
    asgi_shutdown.connect(lambda: calls.append("shutdown"))

    @resource
    async def broken() -> AsyncIterator[None]:
        raise ValueError
        yield

    with pytest.raises(LifespanError):
        await live()
    assert not calls
