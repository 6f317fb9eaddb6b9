"""The things that a request leaves behind: those that the next one must not get, and the others."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asgiref
import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from django_asgi_lifespan import resource

from .conftest import Configure
from .helpers import get, marks, project, this_thread, until

pytestmark = [*marks, pytest.mark.usefixtures("table")]

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")
local = threading.local()


@pytest.fixture
def table(database: Configure) -> None:
    """A table in the database."""
    run_in_a_thread("CREATE TABLE rows (number)")


def run_in_a_thread(statement: str) -> list[Any]:
    """Return the rows that *statement* gives over a connection of its own."""
    rows: list[Any] = []

    def call() -> None:
        rows.extend(execute(statement))
        connection.close()

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return rows


def execute(statement: str) -> list[Any]:
    """Return the rows that *statement* gives."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def rows() -> list[int]:
    """Return the rows that were committed."""
    return [number for (number,) in run_in_a_thread("SELECT number FROM rows")]


def insert(request: HttpRequest) -> HttpResponse:
    """Insert a row, and answer with the connection beneath Django's wrapper, by its identity."""
    execute("INSERT INTO rows VALUES (2)")
    return HttpResponse(f"{id(connection.connection)} in thread {this_thread()}")


def is_open(raw: Any) -> bool:
    """Return whether *raw* was not closed."""
    try:
        raw.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


async def test_a_connection_persists(database: Configure) -> None:
    """As long as CONN_MAX_AGE says, which has no effect under ASGI without request threads."""
    async with project(insert=insert) as (handler, _):
        assert len({await get(handler, "/insert") for _ in range(4)}) == 1
    assert rows() == [2] * 4


async def test_without_an_age_each_request_has_a_connection_of_its_own(
    database: Configure,
) -> None:
    """As Django says. The thread persists."""
    database(CONN_MAX_AGE=0)
    kept: list[Any] = []

    def view(request: HttpRequest) -> HttpResponse:
        connection.ensure_connection()
        kept.append(connection.connection)
        return HttpResponse()

    async with project(view=view) as (handler, threads):
        for _ in range(3):
            await get(handler, "/view")
            assert not is_open(kept[-1])
        assert len(threads._alive) == 1
    assert len(set(map(id, kept))) == 3


async def test_a_transaction_that_is_left_open_reaches_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is rolled back, the log names the request, and the next one has another thread."""
    kept: list[Any] = []

    def begin() -> None:
        transaction.atomic().__enter__()
        execute("INSERT INTO rows VALUES (1)")
        kept.append(connection.connection)

    async def leave(request: HttpRequest) -> HttpResponse:
        await sync_to_async(begin)()
        return HttpResponse(str(await sync_to_async(this_thread)()))

    async with project(leave=leave, insert=insert) as (handler, threads):
        first = await get(handler, "/leave")
        await until(lambda: not threads._alive)
        assert not is_open(kept[0])
        second = await get(handler, "/insert")
        assert (first.status, second.status) == (200, 200)
    assert rows() == [2]
    warning = "GET /leave has left a transaction open in the database 'default'. Its connection is"
    assert caplog.records[-1].getMessage() == f"{warning} closed. [lifespan-left-transaction]"
    assert caplog.records[-1].levelno == logging.WARNING


async def test_so_it_is_where_the_connection_was_closed_inside_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The wrapper would refuse the next request. Django's pool takes the connection so, too."""

    def begin() -> None:
        transaction.atomic().__enter__()
        connection.close()
        connection.connection = None  # as with the pool

    async def leave(request: HttpRequest) -> HttpResponse:
        await sync_to_async(begin)()
        return HttpResponse()

    async with project(leave=leave, insert=insert) as (handler, _):
        await get(handler, "/leave")
        assert (await get(handler, "/insert")).status == 200
    assert rows() == [2]
    assert "has left a transaction open" in caplog.text


async def test_a_changed_autocommit_reaches_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The statements of the next request would never be committed."""

    def leave(request: HttpRequest) -> HttpResponse:
        transaction.set_autocommit(False)
        execute("INSERT INTO rows VALUES (1)")
        return HttpResponse()

    async with project(leave=leave, insert=insert) as (handler, _):
        await get(handler, "/leave")
        assert (await get(handler, "/insert")).status == 200
    assert rows() == [2]
    # Django itself has closed the connection already, if the end of the request was sent.
    assert "has left" not in caplog.text


def leave(leftover: str) -> None:
    """Leave something behind in the connection of this thread."""
    connection.ensure_connection()
    if leftover == "transaction":
        transaction.atomic().__enter__()
    elif leftover == "autocommit":
        transaction.set_autocommit(False)


@pytest.mark.parametrize(
    ("leftover", "words", "age"),
    [
        ("transaction", "a transaction open", None),
        ("autocommit", "autocommit changed", None),
        ("old connection", "", 0),
        ("nothing", "", None),
    ],
)
async def test_a_task_that_goes_on_after_the_response_is_looked_at_too(
    leftover: str,
    words: str,
    age: int | None,
    database: Configure,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its code ends after Django's receivers have looked at the connections."""
    entered, release = threading.Event(), threading.Event()
    left: list[asyncio.Future[None]] = []
    database(CONN_MAX_AGE=age)

    def work() -> None:
        entered.set()
        release.wait()

    def add_work() -> None:
        """Be the last in the queue of the thread, after Django's own end of the request."""
        left.append(asyncio.ensure_future(sync_to_async(leave)(leftover)))
        asyncio.get_running_loop().call_later(0.05, release.set)

    async def view(request: HttpRequest) -> HttpResponse:
        left.append(asyncio.ensure_future(sync_to_async(work)()))
        await until(entered.is_set)
        asyncio.get_running_loop().call_later(0.05, add_work)
        return HttpResponse()

    async with project(view=view) as (handler, threads):
        await get(handler, "/view")
        await asyncio.gather(*left)
        alive = 1 if leftover == "nothing" else 0
        await until(lambda: len(threads._alive) == alive)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == bool(words)
    assert all(words in message for message in said)


async def test_a_view_that_raises_is_rolled_back(database: Configure) -> None:
    """With ATOMIC_REQUESTS, as ever. The next request is in no transaction."""
    database(ATOMIC_REQUESTS=True)

    def raises(request: HttpRequest) -> HttpResponse:
        execute("INSERT INTO rows VALUES (1)")
        raise ValueError("no")

    async with project(raises=raises, insert=insert) as (handler, threads):
        assert (await get(handler, "/raises")).status == 500
        assert (await get(handler, "/insert")).status == 200
        assert len(threads._alive) == 1
    assert rows() == [2]


# The things that are gone, and those that stay as under WSGI


async def test_values_of_a_context_are_gone() -> None:
    """Context variables, the language, the time zone."""

    def dirty(request: HttpRequest) -> HttpResponse:
        variable.set("dirty")
        translation.activate("de")
        timezone.activate("Asia/Tokyo")
        return HttpResponse(str(this_thread()))

    def read(request: HttpRequest) -> HttpResponse:
        zone = timezone.get_current_timezone_name()
        return HttpResponse(f"{this_thread()} {variable.get()} {translation.get_language()} {zone}")

    async with project(dirty=dirty, read=read) as (handler, _):
        clean = await get(handler, "/read")
        thread = (await get(handler, "/dirty")).text
        assert clean.text.startswith(thread)
        assert await get(handler, "/read") == clean
    assert "dirty" not in clean.text


async def test_thread_locals_and_the_session_of_a_connection_stay() -> None:
    """As under WSGI: whoever uses them has to put them back."""

    def dirty(request: HttpRequest) -> HttpResponse:
        local.value = "dirty"
        execute("PRAGMA cache_size = 77")
        return HttpResponse()

    def read(request: HttpRequest) -> HttpResponse:
        [(size,)] = execute("PRAGMA cache_size")
        return HttpResponse(f"{getattr(local, 'value', 'clean')} {size}")

    async with project(dirty=dirty, read=read) as (handler, _):
        await get(handler, "/dirty")
        assert (await get(handler, "/read")).text == "dirty 77"


# In the context of others


def count(request: HttpRequest) -> HttpResponse:
    """Answer with the number of rows, and with the thread."""
    [(number,)] = execute("SELECT COUNT(*) FROM rows")
    return HttpResponse(f"{number} in {this_thread()}")


@pytest.fixture
def _connections_stay_open() -> Iterator[None]:
    """Keep the end of a request from the test's connection, as Django's test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.skipif(
    tuple(map(int, asgiref.__version__.split(".")[:2])) < (3, 7),
    reason="its tasks forget the thread of the test",
)
@pytest.mark.usefixtures("_connections_stay_open")
@pytest.mark.parametrize("stock", [True, False])
def test_a_view_sees_the_transaction_of_a_test(stock: bool) -> None:
    """Under ``async_to_sync()`` its code runs in the thread of the test, with its connection."""

    async def ask() -> str:
        async with project(count=count) as (handler, threads):
            answer = await get(ASGIHandler() if stock else handler, "/count")
            assert not threads._alive
            return answer.text

    answers: list[str] = []

    def test() -> None:
        with transaction.atomic():
            execute("INSERT INTO rows VALUES (1)")
            answers.append(async_to_sync(ask)())
            assert answers == [f"1 in {this_thread()}"]
            transaction.set_rollback(True)
        connection.close()

    thread = threading.Thread(target=test)
    thread.start()
    thread.join()
    assert len(answers) == 1
    assert rows() == []


async def test_inside_a_context_of_asgiref_its_thread_is_used() -> None:
    """The outermost context counts, as in Django."""
    async with project(count=count) as (handler, threads), ThreadSensitiveContext():
        own = await sync_to_async(this_thread)()
        assert (await get(handler, "/count")).text == f"0 in {own}"
        await sync_to_async(connections.close_all)()
        assert not threads._alive


async def test_a_request_of_a_task_of_a_resource_has_the_thread_of_the_resource() -> None:
    """Such a task has the context of the resource. It takes none of the request threads."""
    is_serving = asyncio.Event()

    @resource
    async def prober() -> AsyncIterator[asyncio.Task[tuple[int, str]]]:
        own = await sync_to_async(this_thread)()

        async def probe() -> tuple[int, str]:
            await is_serving.wait()
            answer = await get(handler, "/count")
            return own, answer.text

        yield asyncio.create_task(probe())

    async with project(count=count) as (handler, threads):
        is_serving.set()
        own, text = await prober.get()
        assert text == f"0 in {own}"
        assert not threads._alive
