"""Django's database connections in resources, receivers and calls: when they are closed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import connection, connections, transaction
from typing_extensions import Self

from django_asgi_lifespan import (
    StartupFailedError,
    asgi_shutdown,
    asgi_startup,
    resource,
    run_lifespan,
    run_lifespan_sync,
)
from django_asgi_lifespan.daemon_thread import DaemonThread
from django_asgi_lifespan.own_thread import own_thread
from django_asgi_lifespan.register import register_lifespan_manager

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

pytestmark = [pytest.mark.real_clock, pytest.mark.usefixtures("database")]

DEADLINE = 60


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database be a file, which tells a closed connection from an open one."""
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "database"))


def connect() -> sqlite3.Connection:
    """Return the open connection of this thread, beneath Django's wrapper."""
    connection.ensure_connection()
    raw: sqlite3.Connection = connection.connection
    return raw


def is_open(raw: sqlite3.Connection) -> bool:
    """Return whether *raw* was not closed."""
    with contextlib.suppress(sqlite3.ProgrammingError):
        return raw.execute("SELECT 1").fetchone() == (1,)
    return False


aconnect = sync_to_async(connect)


def declare(kind: str, used: list[sqlite3.Connection]) -> None:
    """Declare something that connects at its start and at its end, and notes the connections."""
    if kind == "async resource":

        @resource
        async def asynchronous() -> AsyncIterator[None]:
            used.append(await aconnect())
            yield
            used.append(await aconnect())

    elif kind == "sync resource":

        @resource
        def synchronous() -> Iterator[None]:
            used.append(connect())
            yield
            used.append(connect())

    elif kind == "manager of 0.5":

        @contextlib.asynccontextmanager
        async def manager() -> AsyncGenerator[dict[str, Any]]:
            used.append(await aconnect())
            yield {}
            used.append(await aconnect())

        register_lifespan_manager(context_manager=manager)
    elif kind == "async receiver":

        async def receive_async(**_: object) -> None:
            used.append(await aconnect())

        asgi_startup.connect(receive_async)
        asgi_shutdown.connect(receive_async)
    else:

        def receive() -> None:
            used.append(connect())

        asgi_startup.connect(receive)
        asgi_shutdown.connect(receive)


KINDS = ["async resource", "sync resource", "manager of 0.5", "async receiver", "sync receiver"]


@pytest.mark.parametrize("kind", KINDS)
async def test_no_connection_stays(kind: str) -> None:
    """Neither while the lifespan runs nor after it. Each step has a connection of its own."""
    used: list[sqlite3.Connection] = []
    declare(kind, used)
    async with run_lifespan():
        assert [is_open(raw) for raw in used] == [False]
    assert [is_open(raw) for raw in used] == [False, False]
    assert used[0] is not used[1]


async def test_a_resource_that_fails_leaves_no_connection() -> None:
    """However it ends."""
    used: list[sqlite3.Connection] = []

    @resource
    async def fails() -> AsyncIterator[None]:
        used.append(await aconnect())
        raise ValueError("no")
        yield

    with pytest.raises(StartupFailedError):
        async with run_lifespan():
            pass
    assert [is_open(raw) for raw in used] == [False]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_connections_can_be_kept(kind: str) -> None:
    """While the resource is open, with all that the database ties to them."""
    used: list[sqlite3.Connection] = []

    async def asynchronous() -> AsyncIterator[None]:
        used.append(await aconnect())
        yield
        used.append(await aconnect())

    def synchronous() -> Iterator[None]:
        used.append(connect())
        yield
        used.append(connect())

    factory: Any = asynchronous if kind == "async" else synchronous
    resource(factory, name="keeps", keep_connections=True)
    async with run_lifespan():
        assert [is_open(raw) for raw in used] == [True]
    assert used[0] is used[1]
    assert not is_open(used[0])


@pytest.mark.parametrize("how", ["atomic", "autocommit"])
async def test_an_open_transaction_fails_the_startup(how: str) -> None:
    """With the reason and the remedy, instead of losing its work in silence."""
    journal: list[str] = []

    @resource
    def holds() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if how == "atomic":
                stack.enter_context(transaction.atomic())
            else:
                transaction.set_autocommit(False)
            try:
                yield
            finally:
                journal.append("closes")

    with pytest.raises(StartupFailedError) as failure:
        async with run_lifespan():
            pass
    assert str(failure.value).startswith("holds failed to start: a transaction of the database ")
    assert "@resource(keep_connections=True)" in str(failure.value)
    assert journal == ["closes"]


async def test_a_transaction_can_be_kept_open() -> None:
    """And its work is committed at the end."""

    @resource(keep_connections=True)
    def holds() -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE presence (n int)")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO presence VALUES (1)")
            yield
            cursor.execute("INSERT INTO presence VALUES (2)")

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM presence")
            [number] = cursor.fetchone()
        return int(number)

    async with run_lifespan():
        assert await sync_to_async(count)() == 0
    async with own_thread():
        assert await sync_to_async(count)() == 2


async def test_only_the_connections_of_its_own_are_closed() -> None:
    """The query of one resource goes on while others open, sync and async."""
    opened = asyncio.Event()
    rows: list[tuple[int]] = []

    @resource
    async def reads() -> AsyncIterator[None]:
        cursor = await sync_to_async(lambda: connect().execute("VALUES (1), (2)"))()
        rows.append(await sync_to_async(cursor.fetchone)())
        await opened.wait()
        rows.append(await sync_to_async(cursor.fetchone)())
        yield

    @resource
    async def opens() -> AsyncIterator[None]:
        await aconnect()
        yield

    @resource
    def opens_too() -> Iterator[None]:
        connect()
        yield

    @resource(requires=[opens, opens_too])
    async def knows() -> AsyncIterator[None]:
        opened.set()
        yield

    async with run_lifespan():
        assert rows == [(1,), (2,)]


async def test_there_is_no_thread_until_one_is_needed() -> None:
    """A resource without synchronous code has none."""

    @resource
    async def asynchronous() -> AsyncIterator[None]:
        yield

    before = threading.active_count()
    async with run_lifespan():
        assert threading.active_count() == before


async def test_dead_connections_are_dropped_before_a_resource_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a restart of the database for example. One that works stays."""
    used: list[sqlite3.Connection] = []

    def use(*, dies: bool) -> None:
        used.append(connect())
        if dies:
            monkeypatch.setattr(connections["default"], "is_usable", lambda: False)

    def lives(dies: bool) -> Callable[[], Iterator[None]]:
        def live() -> Iterator[None]:
            use(dies=dies)
            yield
            use(dies=False)

        return live

    resource(lives(True), name="dead", keep_connections=True)
    async with run_lifespan():
        pass
    assert used[0] is not used[1]
    assert not is_open(used[0])


def fail(*, dies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a query fail, after which the database answers or not."""
    if dies:
        monkeypatch.setattr(connections["default"], "is_usable", lambda: False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM missing")


@pytest.mark.parametrize("dies", [True, False])
async def test_a_consumer_gets_a_new_connection_after_a_failure(
    dies: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the old one is dead. It need not know of connections."""
    used: list[sqlite3.Connection] = []
    failed = asyncio.Event()

    async def consume() -> None:
        used.append(await aconnect())
        with contextlib.suppress(Exception):
            await sync_to_async(fail)(dies=dies, monkeypatch=monkeypatch)
        used.append(await aconnect())
        failed.set()
        assert not await sync_to_async(lambda: connections["default"].errors_occurred)()

    @resource
    async def consumer() -> AsyncIterator[None]:
        consuming = asyncio.ensure_future(consume())
        yield
        await consuming

    async with run_lifespan():
        await failed.wait()
    assert (used[0] is not used[1]) == dies


async def test_a_transaction_is_left_alone_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own end tells that its work is lost."""

    @resource(keep_connections=True)
    async def holds() -> AsyncIterator[None]:
        atomic = transaction.atomic()
        await sync_to_async(atomic.__enter__)()
        with contextlib.suppress(Exception):
            await sync_to_async(fail)(dies=True, monkeypatch=monkeypatch)
        yield
        raw = await aconnect()
        assert is_open(raw)
        await sync_to_async(atomic.__exit__)(None, None, None)

    async with run_lifespan():
        pass


async def test_a_connection_that_cannot_be_closed_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And fails nothing."""
    patched = pytest.MonkeyPatch()

    def close() -> None:
        patched.undo()
        raise OSError("no")

    @resource
    def connects() -> Iterator[None]:
        connect()
        patched.setattr(connections["default"], "close", close)
        yield

    async with run_lifespan():
        pass
    [record] = [each for each in caplog.records if each.levelname == "WARNING"]
    assert record.getMessage() == "A connection to the database 'default' failed to close"


@pytest.mark.parametrize("max_age", [0, None])
def test_a_call_treats_connections_as_a_request_does(
    max_age: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``CONN_MAX_AGE`` says whether the next call of ``run()`` has the same one."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)

    async def fails() -> None:
        used.append(await aconnect())
        raise ValueError

    used: list[sqlite3.Connection] = []
    with run_lifespan_sync() as running:
        used.append(running.run(aconnect()))
        with pytest.raises(ValueError, match=r"^$"):
            running.run(fails())
        used.append(running.run(aconnect()))
        running.run(asyncio.sleep(0))
        assert [is_open(raw) for raw in used] == [max_age is None] * 3
    assert len(set(used)) == (1 if max_age is None else 3)
    assert not any(map(is_open, used))


def test_two_calls_at_the_same_time_have_connections_of_their_own() -> None:
    """The end of one does not close that of the other."""
    barrier = threading.Barrier(2)

    async def call() -> sqlite3.Connection:
        raw: sqlite3.Connection = await aconnect()
        await asyncio.to_thread(barrier.wait, DEADLINE)
        return raw

    with run_lifespan_sync() as running, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(running.run, call()) for _ in range(2)]
        first, second = [each.result(DEADLINE) for each in calls]
        assert first is not second


async def test_a_cancelled_call_does_not_wait_for_its_thread() -> None:
    """Which closes the connections when it gets there."""
    begun, release, closed = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        release.wait(DEADLINE)

    async def call() -> None:
        async with own_thread(at_end=closed.set):
            await sync_to_async(hang)()

    calling = asyncio.ensure_future(call())
    assert await asyncio.to_thread(begun.wait, DEADLINE)
    calling.cancel()
    await asyncio.wait([calling], timeout=DEADLINE)
    assert calling.cancelled()
    assert not closed.is_set()
    release.set()
    assert await asyncio.to_thread(closed.wait, DEADLINE)


async def test_the_block_has_a_thread_of_its_own_unless_there_is_one() -> None:
    """Its connections are closed at the end, those of an outer context are not."""
    async with run_lifespan():
        own = await aconnect()
    async with ThreadSensitiveContext():
        async with run_lifespan():
            of_the_context = await aconnect()
        assert is_open(of_the_context)
        await sync_to_async(connections.close_all)()
    assert not is_open(own)


def test_under_synchronous_code_its_thread_and_connection_are_used() -> None:
    """As in Django's test cases, whose transaction must hold all of it, and must not be closed."""
    used: list[sqlite3.Connection] = []
    threads: list[threading.Thread] = []
    for kind in KINDS:
        declare(kind, used)

    @resource
    def plain() -> Iterator[None]:
        threads.append(threading.current_thread())
        yield
        threads.append(threading.current_thread())

    async def lifespan() -> None:
        async with run_lifespan():
            used.append(await aconnect())

    with transaction.atomic():
        async_to_sync(lifespan)()
        assert set(used) == {connect()}
        assert is_open(used[0])
    connection.close()
    assert threads == [threading.current_thread()] * 2


def test_under_synchronous_code_a_task_without_its_context_uses_its_thread() -> None:
    """Asgiref knows the thread by the event loop as well."""

    async def lifespan() -> None:
        async with run_lifespan():
            pass

    async def elsewhere() -> None:
        await contextvars.Context().run(asyncio.ensure_future, lifespan())

    threads: list[threading.Thread] = []

    @resource
    def plain() -> Iterator[None]:
        threads.append(threading.current_thread())
        yield

    async_to_sync(elsewhere)()
    assert threads == [threading.current_thread()]


def run_program(program: str) -> str:
    """Return the output of *program*, run by a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE, check=True
    ).stdout


def test_a_project_without_a_database_does_not_load_one() -> None:
    """Even if its resources and receivers are synchronous. ``django.setup()`` alone does."""
    program = """
        import asyncio, sys
        from django.conf import settings
        settings.configure(ASGI_LIFESPAN={"AUTODISCOVER": False, "ADAPTERS": None})
        from django_asgi_lifespan import asgi_startup, resource, run_lifespan

        @resource
        def synchronous():
            yield

        asgi_startup.connect(lambda: None)

        async def main():
            async with run_lifespan():
                print([name for name in sys.modules if name.startswith("django.db")])

        asyncio.run(main())
    """
    assert run_program(program) == "[]\n"


async def hold() -> tuple[threading.Event, asyncio.Future[None]]:
    """Occupy the thread of this code until the event is set."""
    begun, release = threading.Event(), threading.Event()

    def occupy() -> None:
        begun.set()
        release.wait(DEADLINE)

    occupied = asyncio.ensure_future(sync_to_async(occupy)())
    assert await asyncio.to_thread(begun.wait, DEADLINE)
    return release, occupied


async def until(condition: Callable[[], bool]) -> None:
    """Return when *condition* is true."""
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.001)


async def test_a_cancelled_startup_closes_a_resource_whose_connections_are_being_closed() -> None:
    """It has opened, so it closes as it would otherwise."""
    journal: list[str] = []
    held: list[tuple[threading.Event, asyncio.Future[None]]] = []

    @resource
    async def opens() -> AsyncIterator[None]:
        held.append(await hold())
        yield
        journal.append("closes")

    async def lifespan() -> None:
        async with run_lifespan():
            pass

    starting = asyncio.ensure_future(lifespan())
    await until(lambda: bool(held))
    starting.cancel()
    await asyncio.sleep(0.01)
    assert not starting.done()
    held[0][0].set()
    await asyncio.wait([starting], timeout=DEADLINE)
    assert starting.cancelled()
    assert journal == ["closes"]


async def test_a_resource_that_dies_as_its_connections_are_closed_is_known_to_have_died(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The cancellation comes again at its yield."""
    held: list[threading.Event] = []
    tasks: list[asyncio.Task[Any] | None] = []

    @resource
    async def dies() -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        held.append((await hold())[0])
        yield

    async def lifespan() -> None:
        async with run_lifespan():
            await until(lambda: bool(caplog.records))

    starting = asyncio.ensure_future(lifespan())
    await until(lambda: bool(held))
    [task] = tasks
    assert task is not None
    task.cancel()
    await asyncio.sleep(0.01)
    held[0].set()
    await asyncio.wait([starting], timeout=DEADLINE)
    assert "dies died while it was running" in caplog.text


async def test_an_abandoned_resource_does_not_wait_for_its_thread() -> None:
    """Nor does its event loop, when it ends."""
    held: list[tuple[threading.Event, asyncio.Future[None]]] = []

    @resource(startup_timeout=0.5)
    async def hangs() -> AsyncIterator[None]:
        held.append(await hold())
        yield

    with pytest.raises(StartupFailedError, match=r"hangs did not start within 0\.5 s"):
        async with run_lifespan():
            pass
    [abandoned] = [task for task in asyncio.all_tasks() if task.get_name() == "hangs"]
    abandoned.cancel()
    await asyncio.wait([abandoned], timeout=DEADLINE)
    assert abandoned.done()
    [(release, occupied)] = held
    release.set()
    await occupied


async def test_a_task_that_outlives_its_resource_gets_another_thread() -> None:
    """Which ends with the task."""
    over = asyncio.Event()
    tasks: list[asyncio.Task[threading.Thread]] = []

    async def outlive() -> threading.Thread:
        await over.wait()
        thread: threading.Thread = await sync_to_async(threading.current_thread)()
        return thread

    @resource
    async def careless() -> AsyncIterator[threading.Thread]:
        tasks.append(asyncio.ensure_future(outlive()))
        yield await sync_to_async(threading.current_thread)()

    async with run_lifespan():
        first = careless.get()
    over.set()
    second = await tasks.pop()
    assert first is not second

    def has_ended() -> bool:
        gc.collect()  # the lifespan, whose context was that of the task
        return not second.is_alive()

    await until(has_ended)


async def test_a_call_that_was_cancelled_before_its_turn_is_not_made() -> None:
    """As with the executors of the standard library."""
    journal: list[str] = []
    thread = DaemonThread("test")
    release = threading.Event()
    thread.submit(release.wait, DEADLINE)
    cancelled = thread.submit(journal.append, "made")
    assert cancelled.cancel()
    release.set()
    assert await asyncio.wrap_future(thread.submit(lambda: "next")) == "next"
    assert journal == []


class Client:
    """An asynchronous context manager that notes where it is made."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None: ...


class NeedsTheLoop(Client):
    """One that can only be made in the event loop, as aiohttp's is."""

    def __init__(self) -> None:
        super().__init__()
        asyncio.get_running_loop()


class Plain:
    """A plain context manager that notes its threads."""

    def __init__(self) -> None:
        self.threads = [threading.current_thread()]

    def __enter__(self) -> Self:
        self.threads.append(threading.current_thread())
        return self

    def __exit__(self, *exception: object) -> None:
        self.threads.append(threading.current_thread())


async def test_nothing_of_a_plain_context_manager_runs_in_the_event_loop() -> None:
    """Not the function that makes it either, annotated or not."""

    def annotated() -> Plain:
        threads.append(threading.current_thread())
        return Plain()

    threads: list[threading.Thread] = []
    first = resource(annotated, name="first")
    second = resource(lambda: Plain(), name="second")  # noqa: PLW0108 - the test is about a lambda
    async with run_lifespan():
        used = [{*first.get().threads, *threads}, {*second.get().threads}]
    for each in used:
        [thread] = each
        assert thread is not threading.current_thread()


async def test_an_async_context_manager_is_made_in_the_event_loop_where_it_asks_for_it() -> None:
    """Or where the function says that it returns one."""

    def annotated() -> Client:
        return Client()

    annotated_one = resource(annotated, name="annotated")
    asks = resource(lambda: NeedsTheLoop(), name="asks")  # noqa: PLW0108 - as above
    async with run_lifespan():
        assert annotated_one.get().thread is threading.current_thread()
        assert asks.get().thread is threading.current_thread()


async def test_an_annotation_that_only_type_checkers_can_read_is_no_matter() -> None:
    """The function is called, and what it returns is looked at."""

    def unreadable() -> AbstractContextManager[Plain]:
        return Plain()

    declared = resource(unreadable)
    async with run_lifespan():
        assert isinstance(declared.get(), Plain)


async def test_a_function_that_fails_is_not_called_again() -> None:
    """Only the lack of an event loop says that it belongs there."""
    calls: list[None] = []

    def fails() -> Plain:
        calls.append(None)
        raise RuntimeError("broken")

    resource(fails)
    with pytest.raises(StartupFailedError, match="fails failed to start: RuntimeError: broken"):
        async with run_lifespan():
            pass
    assert len(calls) == 1


def test_under_synchronous_code_an_async_context_manager_needs_no_thread() -> None:
    """A function that does not say its kind is called in the thread of that code."""
    client = resource(lambda: Client(), name="client")  # noqa: PLW0108 - the test is about a lambda

    async def lifespan() -> threading.Thread:
        async with run_lifespan():
            return client.get().thread

    assert async_to_sync(lifespan)() is threading.current_thread()


@pytest.mark.parametrize("kind", ["resource", "receiver"])
async def test_an_event_loop_in_the_thread_has_its_synchronous_code_elsewhere(kind: str) -> None:
    """The thread waits for that event loop, and could never run it."""
    threads: list[threading.Thread] = []

    def ask() -> None:
        threads.append(threading.current_thread())
        threads.append(asyncio.run(sync_to_async(threading.current_thread)()))

    @resource
    def asks() -> Iterator[None]:
        if kind == "resource":
            ask()
        yield

    if kind == "receiver":
        asgi_startup.connect(ask, weak=False)
    async with run_lifespan():
        first, second = threads
        assert first is not second
