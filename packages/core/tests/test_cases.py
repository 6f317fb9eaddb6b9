"""Django's test cases with the lifespan: one event loop, one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import unittest
import urllib.request
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from asgiref.sync import SyncToAsync, async_to_sync, sync_to_async
from django.core.signals import request_started
from django.db import connection, connections, transaction
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.test import Client, LiveServerTestCase, TestCase, TransactionTestCase
from django.urls import path

from django_asgi_lifespan import (
    LifespanError,
    ShutdownFailedError,
    StartupFailedError,
    asgi_shutdown,
    asgi_startup,
    get_state,
    resource,
)
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.testing import (
    LifespanAwareClient,
    LifespanTestCase,
    LifespanTestMixin,
    caller_thread,
    run_lifespan_around_test,
)

pytestmark = [pytest.mark.real_clock, pytest.mark.usefixtures("database", "pages")]

Journal = list[str]


@pytest.fixture(params=["memory", "file"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Have a table, in memory or in a file."""
    if request.param == "file":
        monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "database"))
    drop_connection()
    execute("CREATE TABLE notes (note text)")
    yield
    drop_connection()


def drop_connection() -> None:
    """Close the connection of this thread, also where the database is in memory."""
    raw: Any = connection.connection
    del connections["default"]
    if raw is not None:
        raw.close()


@pytest.fixture
def pages(settings: Any) -> None:
    """Have URLs."""
    settings.ROOT_URLCONF = __name__
    settings.STATIC_URL = "/static/"
    settings.MEDIA_URL = "/media/"


def execute(statement: str, *values: str) -> list[str]:
    """Return the first column of the result of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [row[0] for row in cursor.fetchall()]


def note(text: str) -> None:
    """Write a row."""
    execute("INSERT INTO notes VALUES (%s)", text)


def notes() -> list[str]:
    """Return the rows."""
    return execute("SELECT note FROM notes")


anote, anotes = sync_to_async(note), sync_to_async(notes)


def sync_page(request: HttpRequest) -> JsonResponse:
    """Write a row, and answer with all."""
    note("sync page")
    return answer(request, notes())


async def async_page(request: HttpRequest) -> JsonResponse:
    """Do the same."""
    await anote("async page")
    return answer(request, await anotes(), loop=id(asyncio.get_running_loop()))


def answer(request: Any, rows: list[str], **more: object) -> JsonResponse:
    """Answer with the rows, and with the state of the request."""
    assert request.state == get_state()
    return JsonResponse({"rows": rows, "state": sorted(request.state), **more})


async def stream_page(request: HttpRequest) -> StreamingHttpResponse:
    """Write a row while the response is read."""

    async def chunks() -> AsyncIterator[str]:
        await anote("stream")
        yield "a"
        yield "b"

    return StreamingHttpResponse(chunks())


urlpatterns = [
    path("sync", sync_page),
    path("async", async_page),
    path("stream", stream_page),
]


def declare() -> None:
    """Declare a sync and an async resource, which write rows when they open and close."""

    @resource
    def one() -> Iterator[threading.Thread]:
        note("one opens")
        yield threading.current_thread()
        note("one closes")

    @resource(requires=[one])
    async def two() -> AsyncIterator[asyncio.AbstractEventLoop]:
        await anote("two opens")
        yield asyncio.get_running_loop()
        await anote("two closes")

    asgi_startup.connect(lambda: note("receiver"))
    asgi_shutdown.connect(lambda: note("receiver ends"))


OPENED = ["one opens", "two opens", "receiver"]


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    """Run the tests of a class as a runner does."""
    return unittest.defaultTestLoader.loadTestsFromTestCase(case).run(unittest.TestResult())


def succeed(case: type[unittest.TestCase], *, tests: int = 1) -> None:
    """Run the tests of a class, which succeed."""
    result = run(case)
    assert not result.errors + result.failures, "\n".join(
        text for _, text in result.errors + result.failures
    )
    assert result.testsRun == tests


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_everything_is_in_the_transaction_of_the_test() -> None:
    """Resources, receivers, views and streams, in sync and in async tests."""
    declare()

    class Pages(LifespanTestCase):
        @classmethod
        def setUpTestData(cls) -> None:
            note("data")

        def test_sync(self) -> None:
            note("test")
            loop = id(self.lifespan.loop)
            expected = ["data", *OPENED, "test", "sync page"]
            assert self.client.get("/sync").json() == {"rows": expected, "state": ["one", "two"]}
            expected += ["async page"]
            assert self.client.get("/async").json() == {
                "rows": expected,
                "state": ["one", "two"],
                "loop": loop,
            }
            response: Any = self.client.get("/stream")
            assert b"".join(response) == b"ab"
            assert notes() == [*expected, "stream"]
            assert self.lifespan.state == {
                "one": threading.current_thread(),
                "two": self.lifespan.loop,
            }

        async def test_async(self) -> None:
            assert asyncio.get_running_loop() is self.lifespan.loop
            await anote("test")
            expected = ["data", *OPENED, "test", "async page"]
            assert (await self.async_client.get("/async")).json()["rows"] == expected
            expected += ["sync page"]
            assert (await self.async_client.get("/sync")).json()["rows"] == expected
            response: Any = await self.async_client.get("/stream")
            assert [chunk async for chunk in response] == [b"a", b"b"]
            assert await anotes() == [*expected, "stream"]

    succeed(Pages, tests=2)
    assert notes() == []


def test_what_closes_is_in_the_transaction_too(journal: Journal) -> None:
    """It sees the rows of the test."""

    @resource
    def one() -> Iterator[None]:
        yield
        journal.extend(notes())

    class Pages(LifespanTestCase):
        def test(self) -> None:
            note("test")
            self.addCleanup(note, "cleanup")

    succeed(Pages)
    assert journal == ["test", "cleanup"]
    assert notes() == []


@pytest.mark.parametrize("base", [TestCase, TransactionTestCase])
def test_the_mixin_stands_before_a_test_case(base: type[TransactionTestCase]) -> None:
    """Its ``setUp()`` runs inside the lifespan, without a call of ours."""
    declare()

    class Pages(LifespanTestMixin, base):  # type: ignore[misc, valid-type]
        available_apps = ()

        def setUp(self) -> None:
            assert notes() == OPENED

        def test(self) -> None:
            assert self.client.get("/async").json()["rows"] == [*OPENED, "async page"]

    succeed(Pages)
    execute("DELETE FROM notes")
    Pages("test").debug()


def test_one_lifespan_may_last_for_a_class(journal: Journal) -> None:
    """Each test rolls back its own rows."""

    @resource
    def one() -> Iterator[str]:
        journal.append("opens")
        note("one")
        yield "one"
        journal.append("closes")

    class Pages(LifespanTestCase):
        lifespan_scope = "class"

        def test_a(self) -> None:
            assert self.client.get("/async").json()["rows"] == ["one", "async page"]

        async def test_b(self) -> None:
            page: Any = await self.async_client.get("/async")
            assert page.json()["rows"] == ["one", "async page"]

    succeed(Pages, tests=2)
    assert journal == ["opens", "closes"]
    assert notes() == []


def test_stand_ins_and_a_part_of_the_resources(journal: Journal) -> None:
    """Values, and generator functions that are opened in place of a resource."""
    names = "abcde"
    a, b, c, d, e = (resource(_named(name), name=name) for name in names)

    async def fake() -> AsyncIterator[str]:
        journal.append("opens")
        yield "fake"
        journal.append("closes")

    @contextlib.contextmanager
    def managed() -> Iterator[str]:
        yield "managed"

    class Pages(LifespanTestCase):
        lifespan_overrides: ClassVar[Any] = {a: "value", b: fake, c: managed, d: len}
        lifespan_only = (a, "b", c, d)

        def test(self) -> None:
            assert [each.get() for each in (a, b, c, d)] == ["value", "fake", "managed", len]
            assert self.lifespan.state == {"a": "value", "b": "fake", "c": "managed", "d": len}
            with pytest.raises(LifespanError, match="only="):
                e.get()

    succeed(Pages)
    assert journal == ["opens", "closes"]


def _named(name: str) -> Callable[[], AsyncIterator[str]]:
    async def opened() -> AsyncIterator[str]:
        yield name

    return opened


@pytest.mark.parametrize("scope", ["test", "class"])
def test_a_failed_startup_shows_the_code_of_the_resource(scope: Any) -> None:
    """The traceback begins there. The class of the test leaves no transaction open."""

    @resource
    def one() -> Iterator[None]:
        raise ValueError("no entry")
        yield

    class Pages(LifespanTestCase):
        lifespan_scope = scope

        def test(self) -> None:
            raise AssertionError

    [(_, text)] = run(Pages).errors
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert __file__ in lines[1]
    assert lines[2].strip() == 'raise ValueError("no entry")'
    assert lines[-1].endswith("StartupFailedError: one failed to start: ValueError: no entry")
    assert len(lines) < 22
    assert not connection.in_atomic_block


def test_a_failed_receiver_is_the_cause() -> None:
    """As a failed resource is."""

    def receiver() -> None:
        raise ValueError("no")

    asgi_startup.connect(receiver)
    with pytest.raises(StartupFailedError) as failure, run_lifespan_around_test():
        pass
    assert isinstance(failure.value.__cause__, ValueError)


def test_a_startup_without_a_cause_fails_with_its_message() -> None:
    """A time limit of the lifespan for example."""

    @resource(startup_timeout=0.05)
    async def slow() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    expected = pytest.raises(StartupFailedError, match=r"did not start within 0\.05 s")
    with expected as failure, run_lifespan_around_test():
        pass
    assert failure.value.__cause__ is None


def test_a_failed_shutdown_fails_the_test() -> None:
    """And the transaction is rolled back all the same."""

    @resource
    def one() -> Iterator[None]:
        note("opens")
        yield
        raise ValueError("no exit")

    class Pages(LifespanTestCase):
        def test(self) -> None:
            pass

    [(_, text)] = run(Pages).errors
    assert ShutdownFailedError.__name__ in text
    assert notes() == []


def working(journal: Journal, steps: int) -> Callable[[], asyncio.Event]:
    """Declare a resource whose task writes rows."""

    @resource
    async def worker() -> AsyncIterator[asyncio.Event]:
        done = asyncio.Event()

        async def work() -> None:
            for step in range(steps):
                journal.append(f"wants {step}")
                await anote(f"work {step}")
            done.set()

        task = asyncio.create_task(work(), name="work")
        yield done
        await task

    return worker.get


@pytest.mark.parametrize("page", ["sync", "async"])
def test_a_task_between_two_requests_waits_for_the_thread_of_the_test(
    journal: Journal, page: str
) -> None:
    """And goes on when the test enters the lifespan."""
    get = working(journal, 5)

    class Pages(LifespanTestCase):
        def test(self) -> None:
            wait(lambda: journal)
            self.client.get(f"/{page}")
            wait(lambda: len(journal) > 1)
            self.lifespan.run(get().wait())
            rows = {f"work {step}" for step in range(5)}
            assert {*notes()} == {*rows, f"{page} page"}

    succeed(Pages)
    assert notes() == []


def wait(condition: Callable[[], object]) -> None:
    """Return when *condition* is true, and stay out of the lifespan meanwhile."""
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("nothing happened")


def test_the_end_lets_a_task_finish(journal: Journal) -> None:
    """In the transaction."""
    working(journal, 5)

    class Pages(LifespanTestCase):
        def test(self) -> None:
            pass

    succeed(Pages)
    assert journal == [f"wants {step}" for step in range(5)]
    assert notes() == []


def test_a_task_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A test that waits for it in its own thread would never end. The log names the task."""
    monkeypatch.setattr(caller_thread, "PATIENCE", 0.05)
    failures: list[BaseException] = []

    @resource
    async def worker() -> AsyncIterator[None]:
        async def work() -> None:
            try:
                while True:
                    await anote("work")
            except LifespanError as error:
                failures.append(error)

        task = asyncio.create_task(work(), name="work")
        yield
        await task

    class Pages(LifespanTestCase):
        def test(self) -> None:
            wait(lambda: failures)

    with caplog.at_level(logging.ERROR):
        succeed(Pages)
    [error] = failures
    assert str(error).startswith(
        "Synchronous code of the task 'work', such as Django's ORM, has waited for the thread of "
        "the test for 0.05 s."
    )
    assert str(error) in caplog.messages


def test_calls_of_tests_reach_the_event_loop_of_the_lifespan() -> None:
    """``run()`` and ``async_to_sync()`` alike. In the loop itself it says to await."""
    declare()

    class Pages(LifespanTestCase):
        def test_sync(self) -> None:
            assert self.lifespan.run(where()) is self.lifespan.loop
            assert async_to_sync(where)() is self.lifespan.loop
            with pytest.raises(KeyError, match="mine"):
                self.lifespan.run(fail())

        async def test_async(self) -> None:
            with pytest.raises(LifespanError, match="Use 'await'"):
                self.lifespan.run(where())
            assert await sync_to_async(async_to_sync(where))() is self.lifespan.loop
            await anote("after a nested call")

    async def where() -> asyncio.AbstractEventLoop:
        await anote("a call")
        return asyncio.get_running_loop()

    async def fail() -> None:
        raise KeyError("mine")

    succeed(Pages, tests=2)
    assert SyncToAsync.threadlocal.main_event_loop is None


def test_code_of_another_thread_has_that_thread() -> None:
    """Its calls do not lend it to the lifespan."""
    threads: list[threading.Thread] = []

    async def where() -> None:
        threads.append(await sync_to_async(threading.current_thread)())

    class Pages(LifespanTestCase):
        async def test(self) -> None:
            await sync_to_async(async_to_sync(where), thread_sensitive=False)()

    succeed(Pages)
    assert threads[0] is not threading.current_thread()


def test_a_client_class_of_the_project_stays() -> None:
    """Django's own get a twin with ``request.state``."""

    class Mine(Client):
        pass

    class Pages(LifespanTestMixin, TestCase):
        client_class = Mine

    class Others(LifespanTestMixin, TestCase):
        pass

    assert Pages.client_class is Mine
    assert Others.client_class is LifespanAwareClient


def test_commits_are_captured() -> None:
    """With the tools of Django's ``TestCase``."""
    done: list[str] = []

    async def save() -> None:
        await sync_to_async(transaction.on_commit)(lambda: done.append("committed"))

    class Pages(LifespanTestCase):
        def test(self) -> None:
            with self.captureOnCommitCallbacks(execute=True), self.assertNumQueries(2):
                self.client.get("/sync")
                self.lifespan.run(save())

    succeed(Pages)
    assert done == ["committed"]


async def read(page: str) -> Any:
    """Read a page as an ASGI client does, such as httpx with its ASGITransport."""
    requested: list[bool] = []
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        if requested:  # the client stays until the response is complete
            await asyncio.Event().wait()
        requested.append(True)
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": page, "headers": []}
    await get_asgi_application()(scope, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in messages))


def test_an_asgi_client_is_in_the_transaction() -> None:
    """Although Django closes connections around its requests."""
    declare()

    class Pages(LifespanTestCase):
        async def test(self) -> None:
            await anote("test")
            for page in ("/async", "/sync", "/async"):
                assert (await read(page))["state"] == ["one", "two"]
            assert await anotes() == [*OPENED, "test", "async page", "sync page", "async page"]

    succeed(Pages)
    assert notes() == []


@pytest.mark.parametrize("resources", [True, False])
def test_communicators_are_in_the_transaction(resources: bool) -> None:
    """Those of Channels call the application in an empty context."""
    channels = pytest.importorskip("channels.testing")
    db = pytest.importorskip("channels.db")
    if resources:
        declare()

    async def socket(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await db.database_sync_to_async(note)("socket")
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(len(await anotes()))})

    class Pages(LifespanTestCase):
        async def test(self) -> None:
            await anote("test")
            for page in ("/async", "/sync"):
                call = channels.HttpCommunicator(get_asgi_application(), "GET", page)
                answer = await call.get_response(timeout=60)
                await call.send_input({"type": "http.disconnect"})
                await call.wait(timeout=60)
                rows = json.loads(answer["body"])["rows"]
            before = [*(OPENED if resources else ()), "test", "async page", "sync page"]
            assert rows == before
            client = channels.WebsocketCommunicator(socket, "/")
            assert (await client.connect(timeout=60))[0]
            assert await client.receive_from(timeout=60) == str(len(before) + 1)
            assert await anotes() == [*before, "socket"]

    succeed(Pages)
    assert notes() == []


def live_page(request: HttpRequest) -> JsonResponse:
    """Answer from a thread of the live server."""
    return JsonResponse({"state": sorted(get_state())})


async def async_live_page(request: HttpRequest) -> JsonResponse:
    """Answer from the event loop that its requests reach."""
    return JsonResponse({"loop": id(asyncio.get_running_loop()), "state": sorted(get_state())})


urlpatterns += [path("live", live_page), path("async-live", async_live_page)]


def test_a_live_server_reaches_the_lifespan(database: None) -> None:
    """Its requests have threads of their own."""
    resource(_named("a"), name="a")

    class Pages(LifespanTestMixin, LiveServerTestCase):
        available_apps = ()

        def test(self) -> None:
            assert self.read("live") == b'{"state": ["a"]}'
            for _ in range(2):
                page = f'{{"loop": {id(self.lifespan.loop)}, "state": ["a"]}}'
                assert self.read("async-live") == page.encode()

        def read(self, page: str) -> bytes:
            with urllib.request.urlopen(f"{self.live_server_url}/{page}", timeout=60) as response:
                content: bytes = response.read()
                return content

    succeed(Pages)


def test_nothing_is_left_behind() -> None:
    """Neither a receiver of Django's signal nor a thread."""
    before = len(request_started.receivers), threading.active_count()
    with run_lifespan_around_test():
        assert len(request_started.receivers) == before[0] + 1
    assert (len(request_started.receivers), threading.active_count()) == before


async def test_a_call_that_nobody_waits_for_is_not_made(journal: Journal) -> None:
    """Neither in its turn nor at the limit."""
    caller = caller_thread.CallerThread()
    caller.submit(journal.append, "call").cancel()
    caller.run_calls()
    caller.submit(journal.append, "call").cancel()
    caller._give_up(weakref.ref(caller._calls[0]), "task")
    assert not caller._calls
    assert journal == []


async def test_only_the_thread_of_the_test_makes_calls(journal: Journal) -> None:
    """Another thread leaves them alone."""
    caller = caller_thread.CallerThread()
    future = caller.submit(journal.append, "call")
    await asyncio.to_thread(caller.run_calls)
    assert journal == []
    caller.wait_for(future)
    assert journal == ["call"]
    with pytest.raises(ZeroDivisionError):
        caller.wait_for(caller.submit(lambda: 1 / 0))


def test_tasks_that_are_left_are_cancelled(journal: Journal) -> None:
    """As ``asyncio.run()`` does."""

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            journal.append("cancelled")

    async def leave_a_task() -> asyncio.Task[None]:
        task = asyncio.create_task(wait_for_ever())
        await asyncio.sleep(0)
        return task

    with run_lifespan_around_test() as running:
        task = running.run(leave_a_task())
    assert journal == ["cancelled"]
    assert task.cancelled()


async def test_other_event_loops_are_left_alone() -> None:
    """With their requests, and those of the threads that they call."""
    here = asyncio.get_running_loop()

    def request() -> asyncio.AbstractEventLoop:
        request_started.send(sender=None)
        loop: asyncio.AbstractEventLoop = SyncToAsync.threadlocal.main_event_loop
        return loop

    def run_and_request() -> None:
        with run_lifespan_around_test():
            here.call_soon_threadsafe(begun.set)
            goes_on.wait()

    begun, goes_on = asyncio.Event(), threading.Event()
    test = asyncio.create_task(asyncio.to_thread(run_and_request))
    await begun.wait()
    request_started.send(sender=None)
    assert await sync_to_async(request, thread_sensitive=False)() is here
    goes_on.set()
    await test
