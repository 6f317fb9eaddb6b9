"""Django's connections to a PostgreSQL server, counted by the server itself."""

from __future__ import annotations

import asyncio
import functools
import time
import unittest
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import django
import pytest
from asgiref.local import Local
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection, connections, models, transaction
from django.test import TestCase

from django_asgi_lifespan import (
    StartupFailedError,
    asgi_shutdown,
    asgi_startup,
    resource,
    run_lifespan,
    run_lifespan_sync,
)
from testkit.services import PostgreSQL, missing, short_folder

if TYPE_CHECKING:
    import psycopg
else:
    try:
        import psycopg
    except ImportError:
        psycopg = None

pytestmark = [pytest.mark.process, pytest.mark.real_clock, pytest.mark.usefixtures("database")]

DEADLINE = 60

OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'project'"
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


class Row(models.Model):
    """A table of the project."""

    name = models.TextField()

    class Meta:
        """The Django app needs not be installed."""

        app_label = "postgresql"
        db_table = "rows"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server for all tests of this file."""
    if psycopg is None:
        missing("psycopg")
    with short_folder() as folder, PostgreSQL(folder) as started:
        yield started


@pytest.fixture
def database(server: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Let the database of the project be on the server. Yields its settings."""
    configured: dict[str, Any] = connections.configure_settings(
        {
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "HOST": str(server.folder),
                "NAME": "postgres",
                "USER": "tester",
                "OPTIONS": {"application_name": "project"},
            }
        }
    )
    monkeypatch.setitem(connections.settings, "default", configured["default"])
    monkeypatch.setattr(connections, "_connections", Local(thread_critical=True))
    yield configured["default"]
    connections.close_all()


@pytest.fixture
def rows(server: PostgreSQL) -> Iterator[None]:
    """The table of the model, with three rows."""
    ask(server, "CREATE TABLE rows (id serial PRIMARY KEY, name text)")
    ask(server, "INSERT INTO rows (name) VALUES ('one'), ('two'), ('three')")
    yield
    ask(server, "DROP TABLE rows")


def ask(server: PostgreSQL, query: str) -> Any:
    """Return the only value that *query* returns to a client other than the project."""
    with psycopg.connect(server.url, autocommit=True) as client:
        cursor = client.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def until(condition: Callable[[], object]) -> None:
    """Return when *condition* is true."""
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up


def wait_until_none_is_open(server: PostgreSQL) -> None:
    """Return when the server has no connection of the project. It learns of a close a bit later."""
    until(lambda: ask(server, OPEN) == 0)


def query(sql: str = "SELECT 1") -> Any:
    """Return the only value that the project gets for a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


aquery = sync_to_async(query)


async def use_asynchronously(journal: list[str]) -> AsyncIterator[None]:
    """Query at the start and at the end."""
    await aquery()
    journal.append("opened")
    yield
    await aquery()
    journal.append("closed")


def use_synchronously(journal: list[str]) -> Iterator[None]:
    """Query at the start and at the end."""
    query()
    journal.append("opened")
    yield
    query()
    journal.append("closed")


def receive_in_loop(receive: Callable[[], None]) -> Callable[..., Any]:
    """Return a receiver that is a coroutine function."""

    async def receive_async(**_: object) -> None:
        await sync_to_async(receive)()

    return receive_async


def declare(kind: str, journal: list[str], **options: Any) -> None:
    """Declare something that queries at its start and at its end."""
    if "resource" in kind:
        factory: Any = use_asynchronously if "async" in kind else use_synchronously
        resource(functools.partial(factory, journal), name=kind.replace(" ", "_"), **options)
    else:

        def receive() -> None:
            query()
            journal.append("received")

        receiver = receive_in_loop(receive) if "async" in kind else receive
        asgi_startup.connect(receiver, weak=False)
        asgi_shutdown.connect(receiver, weak=False)


KINDS = ["async resource", "sync resource", "async receiver", "sync receiver"]


@pytest.mark.parametrize("kind", KINDS)
async def test_no_connection_stays(kind: str, server: PostgreSQL) -> None:
    """Neither while the lifespan runs nor after it, also with persistent connections."""
    connections.settings["default"]["CONN_MAX_AGE"] = None
    journal: list[str] = []
    declare(kind, journal)
    async with run_lifespan():
        wait_until_none_is_open(server)
    wait_until_none_is_open(server)
    assert len(journal) == 2


def test_no_connection_stays_after_a_call(server: PostgreSQL) -> None:
    """As after a request, where connections are not persistent."""
    with run_lifespan_sync() as running:
        assert running.run(aquery()) == 1
        wait_until_none_is_open(server)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", ["async resource", "sync resource"])
async def test_a_resource_closes_after_a_restart_of_the_database(
    kind: str, keep: bool, server: PostgreSQL
) -> None:
    """With a new connection, also where it kept one that the restart has ended."""
    journal: list[str] = []
    declare(kind, journal, keep_connections=keep)
    async with run_lifespan():
        server.restart()
    assert journal == ["opened", "closed"]
    wait_until_none_is_open(server)


async def test_a_consumer_recovers_after_a_restart_of_the_database(server: PostgreSQL) -> None:
    """One job fails, and the next one has a new connection."""
    jobs: asyncio.Queue[str] = asyncio.Queue()
    outcomes: asyncio.Queue[str] = asyncio.Queue()

    async def consume() -> None:
        while await jobs.get():
            try:
                await aquery()
                await outcomes.put("done")
            except DatabaseError:
                await outcomes.put("failed")

    @resource
    async def consumer() -> AsyncIterator[None]:
        task = asyncio.ensure_future(consume())
        yield
        await jobs.put("")
        await task

    async def work() -> str:
        await jobs.put("job")
        return await asyncio.wait_for(outcomes.get(), DEADLINE)

    async with run_lifespan():
        assert await work() == "done"
        server.restart()
        assert [await work() for _ in range(3)] == ["failed", "done", "done"]


def test_calls_recover_after_a_restart_of_the_database(
    server: PostgreSQL, database: dict[str, Any]
) -> None:
    """As requests do, also where connections are persistent."""
    database["CONN_MAX_AGE"] = None
    with run_lifespan_sync() as running:
        running.run(aquery())
        server.restart()
        with pytest.raises(DatabaseError):
            running.run(aquery())
        assert running.run(aquery()) == 1
    wait_until_none_is_open(server)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_an_advisory_lock_is_kept_while_the_resource_is_open(
    kind: str, server: PostgreSQL
) -> None:
    """And not a moment longer."""
    acquire = "SELECT pg_try_advisory_lock(42)"

    async def hold_async() -> AsyncIterator[bool]:
        yield await aquery(acquire)

    def hold() -> Iterator[bool]:
        yield query(acquire)

    factory: Any = hold_async if kind == "async" else hold
    leader: Any = resource(factory, name="leader", keep_connections=True)
    async with run_lifespan():
        assert leader.get() is True
        assert ask(server, "SELECT pg_try_advisory_lock(42)") is False
        assert ask(server, LOCKS) == 1
    until(lambda: ask(server, LOCKS) == 0)


async def test_a_resource_listens(server: PostgreSQL) -> None:
    """And gets what another client notifies it of."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    def listen() -> str:
        [notice] = connection.connection.notifies(timeout=DEADLINE, stop_after=1)
        return str(notice.payload)

    @resource(keep_connections=True)
    async def listener() -> AsyncIterator[None]:
        await sync_to_async(lambda: connection.cursor().execute("LISTEN news"))()
        task = asyncio.ensure_future(sync_to_async(listen)())
        task.add_done_callback(lambda done: heard.put_nowait(done.result()))
        yield

    async with run_lifespan():
        ask(server, "NOTIFY news, 'hello'")
        assert await asyncio.wait_for(heard.get(), DEADLINE) == "hello"


@pytest.mark.usefixtures("rows")
async def test_an_open_transaction_fails_the_startup(server: PostgreSQL) -> None:
    """And with the option its work is committed at the end."""

    def write() -> Iterator[None]:
        with transaction.atomic():
            Row.objects.create(name="started")
            yield
            Row.objects.create(name="stopped")

    written = "SELECT count(*) FROM rows WHERE name IN ('started', 'stopped')"
    declared = resource(write)
    with pytest.raises(StartupFailedError, match="a transaction of the database 'default' is open"):
        async with run_lifespan():
            pass
    assert ask(server, written) == 0
    wait_until_none_is_open(server)
    declared.keep_connections = True
    async with run_lifespan():
        assert ask(server, written) == 0
    assert ask(server, written) == 2


@pytest.mark.usefixtures("rows")
async def test_only_the_connections_of_its_own_are_closed() -> None:
    """A cursor on the server goes on, although other resources and receivers close theirs."""
    others_opened, received = asyncio.Event(), asyncio.Event()
    names: list[str] = []

    async def iterate() -> None:
        async for row in Row.objects.order_by("id").aiterator(chunk_size=1):
            names.append(row.name)
            await (others_opened if len(names) == 1 else received).wait()

    @resource(keep_connections=True)
    async def iterates() -> AsyncIterator[None]:
        task = asyncio.ensure_future(iterate())
        yield
        await task

    for kind in KINDS:
        declare(kind, [])

    @resource(requires=["async_resource", "sync_resource"])
    async def tells() -> AsyncIterator[None]:
        others_opened.set()
        yield

    async with run_lifespan():
        received.set()
    assert names == ["one", "two", "three"]


@pytest.mark.skipif(django.VERSION < (5, 1), reason="Django has a pool since 5.1")
def test_a_pool_of_one_connection_is_enough(database: dict[str, Any]) -> None:
    """Each gives its connection back before others need it."""
    database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 1, "timeout": DEADLINE / 2}
    journal: list[str] = []
    for kind in KINDS:
        declare(kind, journal)

    async def serve() -> None:
        async with run_lifespan():
            assert await aquery() == 1

    asyncio.run(serve())
    connection.close_pool()  # type: ignore[attr-defined]
    assert sorted(journal) == ["closed"] * 2 + ["opened"] * 2 + ["received"] * 4


def test_a_test_database_can_be_dropped(server: PostgreSQL) -> None:
    """As pytest-django drops it after the last test, which PostgreSQL refuses while it is used."""

    async def use() -> None:
        async with run_lifespan():
            assert await aquery("SELECT current_database()") == "test_postgres"

    for kind in KINDS:
        declare(kind, [])
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    asyncio.run(use())
    connection.creation.destroy_test_db("postgres", verbosity=0)
    assert ask(server, "SELECT count(*) FROM pg_database WHERE datname = 'test_postgres'") == 0


def see(seen: list[list[str]]) -> None:
    """Note the rows, and add one."""
    seen.append(list(Row.objects.order_by("id").values_list("name", flat=True)))
    Row.objects.create(name="added")


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("kind", KINDS)
def test_in_a_test_case_all_is_part_of_the_transaction(kind: str, server: PostgreSQL) -> None:
    """It sees the rows of the test, and the end of the test rolls back those that it writes."""
    seen: list[list[str]] = []

    class Case(TestCase):
        """Runs the lifespan in a test."""

        async def test(self) -> None:
            """Add a row before."""
            await Row.objects.acreate(name="of the test")
            async with run_lifespan():
                pass
            assert await Row.objects.filter(name="added").acount() == len(seen)

    if kind == "async resource":

        @resource
        async def asynchronous() -> AsyncIterator[None]:
            await sync_to_async(see)(seen)
            yield

    elif kind == "sync resource":

        @resource
        def synchronous() -> Iterator[None]:
            see(seen)
            yield

    else:
        receive = functools.partial(see, seen)
        receiver = receive_in_loop(receive) if kind == "async receiver" else receive
        asgi_startup.connect(receiver, weak=False)
    result = unittest.TestResult()
    unittest.TestSuite([Case("test")]).run(result)
    assert [*result.errors, *result.failures] == []
    assert result.testsRun == 1
    assert seen == [["one", "two", "three", "of the test"]]
    assert ask(server, "SELECT count(*) FROM rows") == 3
