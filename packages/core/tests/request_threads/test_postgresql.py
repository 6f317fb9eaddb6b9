"""Request threads and a real PostgreSQL: connections as the server counts them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse

from .helpers import get, marks, project, until

psycopg = pytest.importorskip("psycopg")
from testkit.services import PostgreSQL, short_folder  # noqa: E402 - it needs the same

pytestmark = [*marks, pytest.mark.process]


class Database:
    """The database from the side of the server.

    Attributes:
        configure: changes settings of Django for it.
    """

    def __init__(self, url: str, configure: Callable[..., None]) -> None:
        self.configure = configure
        self._admin: Any = psycopg.connect(url, autocommit=True, application_name="test")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of *query*."""
        cursor = self._admin.execute(query)
        return list(cursor.fetchall()) if cursor.description else []

    def open_now(self) -> int:
        """Return how many connections there are besides the test's own."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'project'"
        return int(self.ask(query)[0][0])

    def terminate(self) -> None:
        """End them, as a restart of the server does."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'project'"
        )

    def close(self) -> None:
        """Leave the server."""
        self._admin.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of these tests' own."""
    with short_folder() as folder, PostgreSQL(folder) as started:
        yield started


@pytest.fixture
def postgresql(server: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Let Django use that server, and look at its side."""
    settings: dict[str, Any] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "tester",
        "HOST": str(server.folder),
        "CONN_MAX_AGE": None,
        "OPTIONS": {"application_name": "project"},
    }
    monkeypatch.setitem(connections.settings, "default", settings)

    def configure(**changed: object) -> None:
        settings.update(changed)

    database = Database(server.url, configure)
    database.ask("CREATE TABLE rows (number int)")
    yield database
    database.ask("DROP TABLE rows")
    database.close()


def execute(statement: str) -> list[Any]:
    """Return the rows that *statement* gives in this thread."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def pid(request: HttpRequest) -> HttpResponse:
    """Answer with the process that serves the connection."""
    return HttpResponse(str(connection.cursor().connection.info.backend_pid))


async def apid(request: HttpRequest) -> HttpResponse:
    """Do the same in async code."""
    return await sync_to_async(pid)(request)


def insert(request: HttpRequest) -> HttpResponse:
    """Insert a row."""
    execute("INSERT INTO rows VALUES (2)")
    return HttpResponse()


async def begin(request: HttpRequest) -> HttpResponse:
    """Leave a transaction open."""

    def enter() -> None:
        transaction.atomic().__enter__()
        execute("INSERT INTO rows VALUES (1)")

    await sync_to_async(enter)()
    return HttpResponse()


async def test_hundreds_of_requests_share_one_connection(postgresql: Database) -> None:
    """With CONN_MAX_AGE. None is left at the end."""
    async with project(pid=pid, apid=apid) as (handler, _):
        answers = [await get(handler, url) for _ in range(100) for url in ("/pid", "/apid")]
        assert len(set(answers)) == postgresql.open_now() == 1
    await until(lambda: postgresql.open_now() == 0)


@pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning")
async def test_under_stock_django_each_request_has_a_connection(postgresql: Database) -> None:
    """CONN_MAX_AGE has no other effect there than that nobody closes them."""
    async with project(None, pid=pid) as (handler, _):
        answers = [await get(each, "/pid") for each in (handler, ASGIHandler()) for _ in range(5)]
        assert len(set(answers)) == 10
    gc.collect()
    await until(lambda: postgresql.open_now() == 0)


async def test_a_worker_at_rest_holds_as_many_connections_as_threads(postgresql: Database) -> None:
    """More clients at once than threads that are kept open no new ones from request to request."""
    seen: set[str] = set()
    async with project(16, pid=pid) as (handler, threads):

        async def client() -> None:
            for _ in range(20):
                seen.add((await get(handler, "/pid")).text)

        await asyncio.gather(*[client() for _ in range(32)])
        assert 16 < len(seen) == len(threads._alive) <= 32
        assert postgresql.open_now() == len(seen)
        threads._idle[0].idle_since = threads._idle[1].idle_since = float("-inf")
        threads._end_surplus()
        left = max(16, len(seen) - 2)
        await until(lambda: postgresql.open_now() == left)
    await until(lambda: postgresql.open_now() == 0)


@pytest.mark.parametrize("pool", [False, True])
async def test_a_transaction_left_open_reaches_nobody(pool: bool, postgresql: Database) -> None:
    """Also not by way of Django's own pool, which takes the connection back."""
    if pool:
        if not hasattr(connection, "close_pool"):
            pytest.skip("this Django has no pool")
        options = {"application_name": "project", "pool": {"min_size": 1, "max_size": 2}}
        postgresql.configure(CONN_MAX_AGE=0, OPTIONS=options)
    async with project(begin=begin, insert=insert) as (handler, threads):
        for _ in range(3):
            assert (await get(handler, "/begin")).status == 200
            await until(lambda: not threads._alive)
            assert (await get(handler, "/insert")).status == 200
    assert postgresql.ask("SELECT number FROM rows") == [(2,)] * 3
    if pool:
        connection.close_pool()  # type: ignore[attr-defined]
    await until(lambda: postgresql.open_now() == 0)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [200, 500, 200]),
        ({"CONN_HEALTH_CHECKS": True}, [200, 200, 200]),
        ({"CONN_MAX_AGE": 0}, [200, 200, 200]),
    ],
    ids=["an age", "an age and health checks", "no age"],
)
async def test_after_a_restart_of_the_database(
    settings: dict[str, Any], expected: list[int], postgresql: Database
) -> None:
    """Without health checks each kept thread answers 500 once, as under WSGI."""
    postgresql.configure(**settings)
    statuses: list[int] = []
    async with project(insert=insert) as (handler, _):
        statuses.append((await get(handler, "/insert")).status)
        postgresql.terminate()
        await until(lambda: postgresql.open_now() == 0)
        statuses += [(await get(handler, "/insert")).status for _ in range(2)]
    assert statuses == expected


@pytest.mark.parametrize(
    ("age", "expected"), [(None, "pg_catalog 1 Asia/Tokyo"), (0, "public 0 UTC")]
)
async def test_the_session_lives_as_long_as_the_connection(
    age: int | None, expected: str, postgresql: Database
) -> None:
    """A search path, an advisory lock and a time zone stay, as under WSGI."""
    postgresql.configure(CONN_MAX_AGE=age)

    def dirty(request: HttpRequest) -> HttpResponse:
        execute("SET search_path TO pg_catalog")
        execute("SELECT pg_advisory_lock(42)")
        execute("SET TIME ZONE 'Asia/Tokyo'")
        return HttpResponse()

    def read(request: HttpRequest) -> HttpResponse:
        [(search_path,)] = execute("SHOW search_path")
        [(zone,)] = execute("SHOW timezone")
        [(locks,)] = execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        return HttpResponse(f"{search_path.split()[-1]} {locks} {zone}")

    async with project(dirty=dirty, read=read) as (handler, _):
        await get(handler, "/dirty")
        assert (await get(handler, "/read")).text == expected


async def test_a_request_that_is_cut_off_leaves_no_connection(postgresql: Database) -> None:
    """Stock Django leaves it to the garbage collector, in its transaction if one was open."""
    async with project(begin=begin, pid=pid) as (handler, threads):
        for url in ("/pid", "/begin"):
            with pytest.raises(OSError, match="gone"):
                await get(handler, url, send_error=OSError("gone"))
            await until(lambda: not threads._alive)
            await until(lambda: postgresql.open_now() == 0)
