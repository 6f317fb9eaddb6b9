"""Resources of synchronous code: each lives in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections
from typing_extensions import Self

from django_asgi_lifespan import ShutdownFailedError, StartupFailedError, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.threads import InThread

pytestmark = pytest.mark.real_clock  # threads do not know the virtual one

DEADLINE = 60

Journal = list[Any]


def driver() -> LifespanDriver:
    """Return a lifespan of everything that is declared."""
    return LifespanDriver(LifespanASGIHandler())


class Model:
    """A class that is a plain context manager."""

    def __init__(self) -> None:
        self.threads = [threading.current_thread()]
        self.closed = False

    def __enter__(self) -> Self:
        self.threads.append(threading.current_thread())
        return self

    def __exit__(self, *exception: object) -> None:
        self.threads.append(threading.current_thread())
        self.closed = True


def generator() -> Iterator[Model]:
    """Yield, as the simplest resource does."""
    with Model() as model:
        yield model


@pytest.mark.parametrize(
    "factory",
    [
        generator,
        contextmanager(generator),
        functools.partial(generator),
        Model,
        lambda: Model(),  # noqa: PLW0108 - the test is about a lambda
    ],
    ids=["generator", "contextmanager", "partial", "class", "lambda"],
)
async def test_every_sync_kind_of_factory_works(factory: Callable[[], Any]) -> None:
    """Generator functions, functions that return a context manager, classes that are one."""
    declared = resource(factory, name="declared")
    async with driver():
        model = declared.get()
        assert isinstance(model, Model)
        assert not model.closed
    assert model.closed


async def test_enter_and_exit_run_in_one_daemon_thread_of_its_own() -> None:
    """Not that of the loop, nor that of another resource. It ends with the resource."""
    first = resource(generator, name="first")
    second = resource(Model, name="second")
    async with driver():
        models = [first.get(), second.get()]
    threads = [set(model.threads) for model in models]
    assert [len(each) for each in threads] == [1, 1]
    assert threads[0] != threads[1]
    assert all(thread.daemon for thread in threads[0] | threads[1])
    assert threading.current_thread() not in threads[0] | threads[1]
    for thread in threads[0] | threads[1]:
        thread.join(DEADLINE)
        assert not thread.is_alive()


async def test_a_class_that_takes_the_application_is_called_in_its_thread() -> None:
    """As one without parameters is."""

    class WithApplication(Model):
        def __init__(self, app: object) -> None:
            super().__init__()
            self.app = app

    factory: Any = WithApplication
    declared = resource(factory, name="declared")
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler):
        model = declared.get()
    assert model.app is handler
    assert len(set(model.threads)) == 1
    assert threading.current_thread() not in model.threads


async def test_several_start_at_the_same_time() -> None:
    """Each waits for the other to be there."""
    barrier = threading.Barrier(2)

    def waits() -> Iterator[None]:
        barrier.wait(DEADLINE)
        yield
        barrier.wait(DEADLINE)

    resource(waits, name="one")
    resource(waits, name="two")
    async with driver():
        pass


async def test_a_context_variable_can_be_reset_across_the_yield() -> None:
    """Both run in one copy of the context of the resource."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @resource
    def setting() -> Iterator[None]:
        token = variable.set("set")
        yield
        assert variable.get() == "set"
        variable.reset(token)

    async with driver():
        assert variable.get() == "unset"


async def test_it_gets_what_it_requires_and_reaches_the_loop(journal: Journal) -> None:
    """``.get()`` follows the context into the thread, and async_to_sync runs in the loop."""

    @resource
    def settings_of() -> Iterator[str]:
        yield "value"

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @resource(requires=[settings_of])
    def user() -> Iterator[None]:
        journal.append(settings_of.get())
        journal.append(async_to_sync(loop)())
        yield

    async with driver():
        pass
    assert journal == ["value", asyncio.get_running_loop()]


async def test_database_connections_are_closed_after_enter_and_after_exit(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing else could close those of its thread."""
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "db.sqlite3"))

    def connect() -> None:
        connection.ensure_connection()
        journal.append(connection.connection)

    @resource
    def uses_the_database() -> Iterator[None]:
        connect()
        yield
        connect()

    async with driver():
        pass
    assert len(set(map(id, journal))) == 2
    for each in journal:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            each.execute("SELECT 1")


@pytest.mark.parametrize("exception", [ValueError("no"), SystemExit(3)])
async def test_a_failure_is_reported_as_that_of_an_async_one(exception: BaseException) -> None:
    """At startup and at shutdown."""

    @resource
    def opens_not() -> Iterator[None]:
        raise exception
        yield

    with pytest.raises(
        StartupFailedError, match=f"opens_not failed to start: {type(exception).__name__}"
    ):
        await driver().startup()
    opens_not.overrides = (None,)

    @resource
    def closes_not() -> Iterator[None]:
        yield
        raise exception

    closing = driver()
    await closing.startup()
    with pytest.raises(ShutdownFailedError, match="closes_not failed to stop"):
        await closing.shutdown()


async def test_a_cancelled_start_waits_for_the_thread_and_closes_what_it_opened(
    journal: Journal,
) -> None:
    """A thread cannot be cancelled, and a resource that was begun is ended."""
    release, begun = threading.Event(), threading.Event()

    @resource
    def slow() -> Iterator[None]:
        begun.set()
        release.wait(DEADLINE)
        journal.append("opens")
        yield
        journal.append("closes")

    starting = asyncio.ensure_future(driver().startup())
    assert await asyncio.to_thread(begun.wait, DEADLINE)
    starting.cancel()
    await asyncio.sleep(0.01)
    assert not starting.done()
    release.set()
    await asyncio.wait([starting], timeout=DEADLINE)
    assert starting.cancelled()
    assert journal == ["opens", "closes"]


async def test_past_its_limit_it_is_abandoned_and_closed_by_its_thread(journal: Journal) -> None:
    """If its start still returns, the same thread closes it at once."""
    release, closed = threading.Event(), threading.Event()

    @resource(startup_timeout=0.5)
    def slow() -> Iterator[None]:
        journal.append(threading.current_thread())
        release.wait(DEADLINE)
        yield
        journal.append(threading.current_thread())
        closed.set()

    with pytest.raises(StartupFailedError) as failure:
        await driver().startup()
    assert str(failure.value) == (
        "slow did not start within 0.5 s, ignored its cancellation and was abandoned"
    )
    assert len(journal) == 1
    release.set()
    assert await asyncio.to_thread(closed.wait, DEADLINE)
    assert journal[0] is journal[1]


async def test_an_abandoned_one_that_fails_to_close_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody else could tell."""
    release = threading.Event()

    @resource(startup_timeout=0.5)
    def slow() -> Iterator[None]:
        release.wait(DEADLINE)
        yield
        raise ValueError("too late")

    with pytest.raises(StartupFailedError):
        await driver().startup()
    [thread] = [each for each in threading.enumerate() if each.name == "slow"]
    release.set()
    await asyncio.to_thread(thread.join, DEADLINE)
    assert caplog.records[-1].getMessage() == "slow, abandoned, failed to stop"
    assert caplog.records[-1].exc_info is not None


async def test_a_hung_exit_is_abandoned(journal: Journal) -> None:
    """Its requirements close all the same."""
    release = threading.Event()

    @resource
    def required() -> Iterator[None]:
        yield
        journal.append("required closes")

    @resource(requires=[required], shutdown_timeout=0.5)
    def hangs() -> Iterator[None]:
        yield
        release.wait(DEADLINE)

    stopping = driver()
    await stopping.startup()
    with pytest.raises(ShutdownFailedError, match=r"hangs did not stop within 0\.5 s, ignored"):
        await stopping.shutdown()
    assert journal == ["required closes"]
    release.set()


def test_a_hung_thread_does_not_delay_the_end_of_the_process() -> None:
    """Neither the loop nor the interpreter waits for it."""
    program = """
        import asyncio, threading
        from django.conf import settings
        settings.configure()
        import django
        django.setup()
        from django_asgi_lifespan import StartupFailedError, resource, run_lifespan

        @resource(startup_timeout=0.5)
        def hangs():
            threading.Event().wait()
            yield

        async def main():
            try:
                async with run_lifespan():
                    pass
            except StartupFailedError as failure:
                print(failure)

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert "hangs did not start within 0.5 s" in done.stdout


async def test_a_cancellation_of_the_whole_loop_waits_for_the_thread(journal: Journal) -> None:
    """An entered context manager is exited in its turn, in its thread."""
    release, begun = threading.Event(), threading.Event()

    @resource
    def slow() -> Iterator[None]:
        yield
        begun.set()
        release.wait(DEADLINE)
        journal.append("closes")

    stopping = driver()
    await stopping.startup()
    task = asyncio.ensure_future(stopping.shutdown())
    assert await asyncio.to_thread(begun.wait, DEADLINE)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    release.set()
    await asyncio.wait(others, timeout=DEADLINE)
    assert task.cancelled()
    assert journal == ["closes"]


def test_the_kinds_are_told_apart_by_what_they_are() -> None:
    """A class that is both kinds of context manager is entered as the async one."""

    class Both(Model):
        async def __aenter__(self) -> str:
            return "async"

        async def __aexit__(self, *exception: object) -> None: ...

    async def main() -> None:
        both = resource(Both, name="both")
        async with driver():
            assert both.get() == "async"  # type: ignore[comparison-overlap]

    asyncio.run(main())


async def test_one_that_is_abandoned_as_it_opens_is_closed_by_its_task() -> None:
    """Its thread has handed over already. A hung exit then holds nobody."""
    release, leaving, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow(Model):
        def __exit__(self, *exception: object) -> None:
            leaving.set()
            release.wait(DEADLINE)
            super().__exit__(*exception)
            closed.set()

    manager = InThread(Slow, "slow")

    async def live() -> Slow:
        async with manager as slow:
            opened.set_result(slow)
            await asyncio.sleep(0)
        raise AssertionError

    opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(live())
    await asyncio.sleep(0)
    give_up = time.monotonic() + DEADLINE
    while not manager._entered:  # without a turn of the loop
        assert time.monotonic() < give_up
    manager.abandon()
    slow = await opened
    assert await asyncio.to_thread(leaving.wait, DEADLINE)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task], timeout=DEADLINE)
    assert task.cancelled()
    release.set()
    assert await asyncio.to_thread(closed.wait, DEADLINE)
    assert slow.closed


async def test_cancelled_twice_it_still_waits_for_its_thread() -> None:
    """Only who abandons it can make it leave."""
    release = threading.Event()
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    @contextmanager
    def slow() -> Iterator[str]:
        loop.call_soon_threadsafe(begun.set)
        release.wait(DEADLINE)
        yield "value"

    entering = asyncio.ensure_future(InThread(slow, "slow").__aenter__())
    await begun.wait()
    for _ in range(3):
        await asyncio.sleep(0.01)
        entering.cancel()
    await asyncio.sleep(0.01)
    assert not entering.done()
    release.set()
    assert await entering == "value"


def test_cancelled_before_its_thread_begins_it_does_not_open() -> None:
    """Here its thread is that of the caller, which is busy with another call."""
    gate = threading.Event()
    made: list[Model] = []

    def make() -> Model:
        made.append(Model())
        return made[0]

    async def main() -> None:
        busy = asyncio.Event()
        tell = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, busy.set)
        blocking = asyncio.ensure_future(sync_to_async(lambda: (tell(), gate.wait(DEADLINE)))())
        await busy.wait()
        manager = InThread(make, "late")
        entering = asyncio.ensure_future(manager.__aenter__())
        await asyncio.sleep(0)
        entering.cancel()
        while not manager._is_cancelled:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await blocking

    async_to_sync(main)()
    assert made == []
