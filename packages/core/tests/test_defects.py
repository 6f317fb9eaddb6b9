"""The defects of django-asgi-lifespan 0.5.4, one test or more for each: none of them is here.

The tests use the names of 0.5 alone and are a server themselves, so that they fail on 0.5.4.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import contextvars
import functools
import gc
import logging
import sqlite3
import sys
import unittest
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from asgiref.sync import AsyncToSync, SyncToAsync
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client, SimpleTestCase
from django.urls import path
from django.utils.decorators import sync_only_middleware

from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_lifespan, asgi_shutdown, asgi_startup
from django_asgi_lifespan.testing import LifespanAwareAsyncClient

Journal = list[str]
Manager = Callable[[], contextlib.AbstractAsyncContextManager[dict[str, Any]]]

MIDDLEWARE = "django_asgi_lifespan.middleware.LifespanStateMiddleware"


class Server:
    """A server's part in the lifespan of an application, and nothing more.

    Attributes:
        scope: the lifespan scope.
        task: where the application runs. Its exceptions are ignored here.
    """

    def __init__(self, application: Any, *, state: bool = True) -> None:
        self.scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}}
        if state:
            self.scope["state"] = {}
        self._application = application
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def start(self) -> dict[str, Any]:
        """Return the answer to ``lifespan.startup``, an empty one if the application ended."""
        self.task = asyncio.ensure_future(self._run())
        return await self._ask("startup")

    async def stop(self) -> dict[str, Any]:
        """Return the answer to ``lifespan.shutdown``, an empty one if the application ended."""
        answer = await self._ask("shutdown")
        await asyncio.wait({self.task})
        return answer

    async def _run(self) -> None:
        with contextlib.suppress(Exception):
            await self._application(self.scope, self._inbox.get, self._answers.put)

    async def _ask(self, phase: str) -> dict[str, Any]:
        self._inbox.put_nowait({"type": f"lifespan.{phase}"})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({answer, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await asyncio.wait({answer})
            return {}
        return answer.result()


STARTED = {"type": "lifespan.startup.complete"}
STOPPED = {"type": "lifespan.shutdown.complete"}


@pytest.fixture
def journal() -> Journal:
    """The journal of the managers and receivers of a test."""
    return []


def manager(journal: Journal, name: str, *, opening: float = 0, closing: float = 0) -> Manager:
    """Register a manager that writes down when it is open and closed, and return it."""

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        await asyncio.sleep(opening)
        journal.append(f"{name} opens")
        yield {name: f"value of {name}"}
        await asyncio.sleep(closing)
        journal.append(f"{name} closes")

    register_lifespan_manager(context_manager=factory)
    return factory


def failing_manager(exception: BaseException, *, after: float = 0) -> None:
    """Register a manager that raises *exception* when it is opened."""

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        await asyncio.sleep(after)
        raise exception
        yield {}

    register_lifespan_manager(context_manager=factory)


async def ask(application: Any, path: str = "/state/", **scope: Any) -> tuple[int, bytes]:
    """Return status and body of the answer to a request."""
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.get_running_loop().create_future()
        return body.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await application({**base, **scope}, receive, send)
    return sent[0]["status"], sent[1]["body"]


# The views and the middleware of some of the tests


async def show_state(request: HttpRequest) -> JsonResponse:
    """Answer with the state as text, and leave something in it."""
    found = {key: str(value) for key, value in request.state.items()}  # type: ignore[attr-defined]
    request.state["left by"] = "a request"  # type: ignore[attr-defined]
    return JsonResponse(found)


def sync_view(request: HttpRequest) -> HttpResponse:
    """Answer whether there is a state."""
    return HttpResponse(str(hasattr(request, "state")))


@sync_only_middleware
def sync_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Do nothing, synchronously."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    return middleware


urlpatterns = [path("state/", show_state), path("sync/", sync_view)]


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls from async to sync code and back that were made, each a change of threads."""
    made: list[str] = []
    for kind in (SyncToAsync, AsyncToSync):

        def call(self: Any, *args: Any, _call: Any = kind.__call__, **kwargs: Any) -> Any:
            made.append(str(self))
            return _call(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__call__", call)
    return made


# d01 and d02: a failed startup


async def test_d01_what_was_entered_is_exited_when_the_startup_fails(journal: Journal) -> None:
    """Before the failure is answered."""
    manager(journal, "a")
    failing_manager(ValueError("no luck"), after=1)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    assert journal == ["a opens", "a closes"]


async def test_d02_siblings_do_not_go_on_starting_when_the_startup_failed(
    journal: Journal,
) -> None:
    """Those that are still starting are cancelled."""
    manager(journal, "a", opening=2)
    failing_manager(ValueError("no luck"), after=1)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    await asyncio.sleep(10)
    assert not journal


# d03 and d04: objects that are bound to a task


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


# d05 to d07: the state of requests


async def test_d05_without_a_state_in_the_scope_managers_are_entered(
    journal: Journal, settings: Any
) -> None:
    """The startup enters them, and requests are served with the state."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = __name__
    manager(journal, "a")
    handler = LifespanASGIHandler()
    server = Server(handler, state=False)
    assert await server.start() == STARTED
    assert journal == ["a opens"]
    assert await ask(handler) == (200, b'{"a": "value of a"}')
    assert await server.stop() == STOPPED
    assert journal == ["a opens", "a closes"]


@pytest.mark.real_clock
async def test_d06_the_middleware_does_without_a_state_in_the_request(settings: Any) -> None:
    """Django's own test client sends none."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = __name__
    response = await AsyncClient().get("/state/")
    assert response.json() == {}


def test_d07_under_wsgi_the_middleware_costs_no_event_loop(hops: list[str], settings: Any) -> None:
    """A sync request goes through it without any change between sync and async."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = __name__
    assert Client().get("/sync/").content == b"True"
    assert not hops


# d08 to d10: the order of the shutdown


async def test_d08_shutdown_receivers_end_before_managers_begin_to_close(
    journal: Journal,
) -> None:
    """A receiver that takes its time still has everything."""
    manager(journal, "a")

    async def receiver(**_: Any) -> None:
        await asyncio.sleep(1)
        journal.append("receiver")

    asgi_shutdown.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    await server.start()
    assert await server.stop() == STOPPED
    assert journal == ["a opens", "receiver", "a closes"]


async def test_d09_a_failing_shutdown_receiver_does_not_cut_the_cleanup_short(
    journal: Journal,
) -> None:
    """Servers end the loop after the answer: by then, every manager has closed."""
    manager(journal, "a", closing=1)
    manager(journal, "b", closing=2)

    async def receiver(**_: Any) -> None:
        raise ValueError("no luck")

    asgi_shutdown.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    await server.start()
    answer = await server.stop()
    assert sorted(journal) == ["a closes", "a opens", "b closes", "b opens"]
    assert answer["type"] == "lifespan.shutdown.failed"


async def test_d10_the_order_of_the_shutdown_does_not_follow_the_speed_of_the_startup(
    journal: Journal,
) -> None:
    """The last to be registered closes first, even if it did not open last."""
    delays = {"a": 1.0, "b": 2.0}
    for name in "ab":

        @contextlib.asynccontextmanager
        async def factory(name: str = name) -> AsyncIterator[dict[str, Any]]:
            await asyncio.sleep(delays[name])
            yield {}
            journal.append(name)

        register_lifespan_manager(context_manager=factory)
    handler = LifespanASGIHandler()
    for delays["a"] in (1.0, 3.0):
        journal.clear()
        server = Server(handler)
        assert await server.start() == STARTED
        assert await server.stop() == STOPPED
        assert journal == ["b", "a"]


# d11 to d14: failures and cancellations


async def test_d11_no_exception_of_a_task_is_left_unretrieved() -> None:
    """Not when a startup receiver raises, and the scope has no state into the bargain."""
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))

    async def receiver(**_: Any) -> None:
        raise ValueError("no luck")

    failing_manager(ValueError("no luck either"))
    asgi_startup.connect(receiver, weak=False)
    answer = await Server(LifespanASGIHandler(), state=False).start()
    assert answer["type"] == "lifespan.startup.failed"
    await asyncio.sleep(1)
    gc.collect()
    assert not contexts


@pytest.mark.parametrize(
    ("exception", "text"),
    [
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (TimeoutError(), "TimeoutError"),
        (KeyError("DATABASE_URL"), "KeyError: 'DATABASE_URL'"),
    ],
)
async def test_d12_the_failure_message_has_the_type_of_the_exception(
    exception: Exception, text: str
) -> None:
    """The text alone can be empty, or too little."""
    failing_manager(exception)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    assert text in answer["message"]


async def test_d12_the_failure_message_has_every_exception_of_a_group() -> None:
    """The text of the group is only how many they are."""

    async def child(exception: Exception) -> None:
        raise exception

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            group.start_soon(child, ValueError("no luck"))
            group.start_soon(child, ConnectionRefusedError())
        yield {}

    register_lifespan_manager(context_manager=factory)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    assert "ValueError: no luck" in answer["message"]
    assert "ConnectionRefusedError" in answer["message"]


class Abort(BaseException):
    """As SystemExit, but no event loop knows it."""


def base_exceptions() -> Iterator[BaseException]:
    """Yield BaseExceptions that are no Exception, as far as this Python has them."""
    yield asyncio.CancelledError()
    yield Abort("no luck")
    if sys.version_info >= (3, 11):
        group = vars(builtins)["BaseExceptionGroup"]
        yield group("several", [Abort("no luck")])


@pytest.mark.parametrize("exception", list(base_exceptions()), ids=repr)
async def test_d13_whatever_a_manager_raises_fails_the_startup(
    exception: BaseException, settings: Any
) -> None:
    """The server is told, and requests are not served without the resources."""
    settings.ROOT_URLCONF = __name__
    failing_manager(exception)
    handler = LifespanASGIHandler()
    answer = await Server(handler).start()
    assert answer.get("type") == "lifespan.startup.failed"
    assert (await ask(handler, "/sync/", state={}))[0] == 503


async def test_d14_a_cancelled_lifespan_closes_everything(journal: Journal) -> None:
    """A forced exit of uvicorn cancels it."""
    manager(journal, "a")
    manager(journal, "b", closing=1)
    server = Server(LifespanASGIHandler())
    await server.start()
    server.task.cancel()
    await asyncio.wait({server.task})
    assert server.task.cancelled()
    assert sorted(journal) == ["a closes", "a opens", "b closes", "b opens"]


# d15: several lifespans


async def test_d15_overlapping_lifespans_close_their_own_managers(journal: Journal) -> None:
    """No matter which stops first."""
    numbers = iter(range(1, 3))

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        number = next(numbers)
        yield {"number": number}
        journal.append(f"{number} closes")

    register_lifespan_manager(context_manager=factory)
    handler = LifespanASGIHandler()
    first, second = Server(handler), Server(handler)
    await first.start()
    await second.start()
    assert [server.scope["state"]["number"] for server in (first, second)] == [1, 2]
    assert await first.stop() == STOPPED
    assert journal == ["1 closes"]
    assert await second.stop() == STOPPED
    assert journal == ["1 closes", "2 closes"]


# d16 to d20: objects that can be registered


@pytest.mark.real_clock
async def test_d16_a_sync_receiver_of_asgi_lifespan_is_not_ignored(journal: Journal) -> None:
    """The context manager whose factory it returns is entered."""

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        journal.append("opens")
        yield {"a": 1}
        journal.append("closes")

    def receiver(**_: Any) -> Manager:
        return factory

    asgi_lifespan.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    assert server.scope["state"] == {"a": 1}
    assert await server.stop() == STOPPED
    assert journal == ["opens", "closes"]


async def test_d16_a_receiver_of_asgi_lifespan_may_return_nothing(journal: Journal) -> None:
    """It wanted to be called, no more."""

    async def receiver(**_: Any) -> None:
        journal.append("called")

    asgi_lifespan.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    assert await server.stop() == STOPPED
    assert journal == ["called"]


async def test_d17_a_manager_that_yields_no_mapping_is_named() -> None:
    """With the yielded object, and the expected type."""

    @contextlib.asynccontextmanager
    async def forgetful() -> AsyncIterator[Any]:
        yield None

    register_lifespan_manager(context_manager=forgetful)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    assert "forgetful" in answer["message"]
    assert "None" in answer["message"]
    assert "mapping" in answer["message"]


@pytest.mark.real_clock
async def test_d17_a_sync_context_manager_works(journal: Journal) -> None:
    """It is entered and exited in a thread."""

    @contextlib.contextmanager
    def factory() -> Iterator[dict[str, Any]]:
        journal.append("opens")
        yield {"a": 1}
        journal.append("closes")

    register_lifespan_manager(context_manager=factory)  # type: ignore[arg-type]
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    assert server.scope["state"] == {"a": 1}
    assert await server.stop() == STOPPED
    assert journal == ["opens", "closes"]


class Connection:
    """A context manager that is not a function."""

    async def __aenter__(self) -> dict[str, Any]:
        return {}

    async def __aexit__(self, *_: object) -> None: ...


@contextlib.asynccontextmanager
async def decorated() -> AsyncIterator[dict[str, Any]]:
    """Yield nothing of interest."""
    yield {}


@pytest.mark.parametrize("factory", [Connection, decorated])
def test_d17_an_instance_is_refused_when_it_is_registered(factory: Any) -> None:
    """It takes a function. A context manager of contextlib can be called, but is none either."""
    with pytest.raises(ImproperlyConfigured, match="instance"):
        register_lifespan_manager(context_manager=factory())


def test_d17_a_coroutine_function_is_refused_when_it_is_registered() -> None:
    """Nothing would close its resources."""

    async def factory() -> dict[str, Any]:
        return {}

    with pytest.raises(ImproperlyConfigured, match="yield"):
        register_lifespan_manager(context_manager=factory)  # type: ignore[arg-type]


async def test_d17_a_lifespan_function_as_starlette_has_them_works() -> None:
    """It gets the application."""
    applications = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        applications.append(app)
        yield {"a": 1}

    register_lifespan_manager(context_manager=lifespan)  # type: ignore[arg-type]
    handler = LifespanASGIHandler()
    server = Server(handler)
    assert await server.start() == STARTED
    assert server.scope["state"] == {"a": 1}
    assert applications == [handler]
    assert await server.stop() == STOPPED


async def test_d18_a_key_collision_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A warning names the key and both managers. The first registered wins."""

    @contextlib.asynccontextmanager
    async def one() -> AsyncIterator[dict[str, Any]]:
        yield {"the key": 1}

    @contextlib.asynccontextmanager
    async def two() -> AsyncIterator[dict[str, Any]]:
        yield {"the key": 2}

    for each in (one, two):
        register_lifespan_manager(context_manager=each)
    server = Server(LifespanASGIHandler())
    await server.start()
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    for part in (one.__qualname__, two.__qualname__, "'the key'"):
        assert part in record.getMessage()
    assert server.scope["state"] == {"the key": 1}
    await server.stop()


async def test_d19_a_manager_can_be_unregistered(journal: Journal) -> None:
    """With the function that registering it returned."""
    unregister: Any = register_lifespan_manager(context_manager=decorated)
    other = manager(journal, "a")
    unregister()
    server = Server(LifespanASGIHandler())
    await server.start()
    await server.stop()
    assert journal == ["a opens", "a closes"]
    assert other is not decorated


async def test_d19_what_is_discovered_twice_is_registered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``lifespan.py`` is not executed again, however often ``ready()`` is run."""
    shop = tmp_path / "discovered_shop"
    shop.mkdir()
    shop.joinpath("__init__.py").touch()
    shop.joinpath("lifespan.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from django_asgi_lifespan.register import register_lifespan_manager\n"
        "opened = []\n"
        "@asynccontextmanager\n"
        "async def client():\n"
        "    opened.append(1)\n"
        "    yield {'opened': opened}\n"
        "register_lifespan_manager(context_manager=client)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    case = SimpleTestCase()
    with case.settings(INSTALLED_APPS=["discovered_shop"]):
        get_asgi_application()
        server = Server(get_asgi_application())
        await server.start()
        await server.stop()
    assert server.scope["state"] == {"opened": [1]}


async def test_d20_a_bound_method_is_not_forgotten(journal: Journal) -> None:
    """Even if nobody else holds its object."""

    class Receiver:
        async def receive(self, **_: Any) -> None:
            journal.append("called")

    asgi_startup.connect(Receiver().receive)
    gc.collect()
    server = Server(LifespanASGIHandler())
    await server.start()
    await server.stop()
    assert journal == ["called"]


# d21 and d22: connections and clients


@pytest.mark.real_clock
async def test_d21_the_database_connection_of_a_sync_receiver_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing else could close it: it belongs to the receiver's thread."""
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "db.sqlite3"))
    opened: list[Any] = []

    def receiver(**_: Any) -> None:
        connection.ensure_connection()
        opened.append(connection.connection)

    asgi_startup.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    [found] = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        found.execute("SELECT 1")
    await server.stop()


def test_d22_the_client_can_be_the_client_class_of_a_test_case() -> None:
    """Django makes it without arguments."""

    class Case(SimpleTestCase):
        async_client_class = LifespanAwareAsyncClient

        def runTest(self) -> None:  # noqa: N802 - unittest's name
            assert type(self.async_client) is LifespanAwareAsyncClient

    outcome = unittest.TestResult()
    Case()(outcome)
    assert outcome.testsRun == 1
    assert not [*outcome.errors, *outcome.failures]


@pytest.mark.real_clock
async def test_d22_the_client_has_the_state_of_the_lifespan(
    journal: Journal, settings: Any
) -> None:
    """Not one that the test made up."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = __name__
    manager(journal, "a")
    server = Server(LifespanASGIHandler())
    await server.start()
    response = await LifespanAwareAsyncClient().get("/state/")  # type: ignore[call-arg]
    assert response.json() == {"a": "value of a"}
    await server.stop()


@pytest.mark.real_clock
async def test_d22_what_a_request_leaves_in_its_state_stays_there(settings: Any) -> None:
    """Each has a copy, as from a server."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = __name__
    client = LifespanAwareAsyncClient(state={"a": 1})
    for _ in range(2):
        assert (await client.get("/state/")).json() == {"a": "1"}


# d23 to d25


async def test_d23_a_websocket_is_closed_without_a_traceback() -> None:
    """After its connect message, and nothing is raised into the log of the server."""
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/", "headers": [], "state": {}}
    await LifespanASGIHandler()(scope, receive, send)
    assert sent == ["websocket.close"]


@pytest.mark.parametrize("exception", [ValueError("no luck"), ConnectionRefusedError()])
async def test_d24_the_traceback_of_a_failed_startup_is_in_the_log(
    exception: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, and the answer, which the server logs, is not empty either."""
    failing_manager(exception)
    answer = await Server(LifespanASGIHandler()).start()
    assert type(exception).__name__ in answer["message"]
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is exception
    assert type(exception).__name__ in record.getMessage()


async def test_d25_the_siblings_of_a_failing_receiver_do_not_run_on(journal: Journal) -> None:
    """When the failure is reported, those before it have ended, those after it never begin."""

    def connect(name: str, seconds: float, exception: Exception | None = None) -> None:
        async def receiver(**_: Any) -> None:
            journal.append(f"{name} begins")
            await asyncio.sleep(seconds)
            if exception is not None:
                raise exception
            journal.append(f"{name} ends")

        asgi_startup.connect(receiver, weak=False)

    connect("slow", 2)
    connect("failing", 1, ValueError("no luck"))
    connect("slower", 3)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    await asyncio.sleep(10)
    assert journal == ["slow begins", "slow ends", "failing begins"]


# d26: a middleware between others


@pytest.mark.real_clock
async def test_d26_the_middleware_adds_no_hop_between_sync_ones(
    hops: list[str], settings: Any
) -> None:
    """A request changes threads as often as without it."""
    settings.ROOT_URLCONF = __name__
    sync = f"{__name__}.sync_middleware"
    counts: list[int] = []
    for between in ([], [MIDDLEWARE]):
        settings.MIDDLEWARE = [sync, *between, sync]
        handler = get_asgi_application()
        hops.clear()
        assert (await ask(handler, "/sync/", state={}))[0] == 200
        counts.append(len(hops))
    assert counts[0] > 0
    assert counts[1] == counts[0]


# d27: the growth of the work with the number of managers


class Key(str):
    """A string whose use as a key counts as a call of a Python function."""

    __slots__ = ()

    def __hash__(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


def _live(count: int) -> None:
    """Register *count* managers, each with a key of its own, start them and stop them."""

    @contextlib.asynccontextmanager
    async def factory(number: int) -> AsyncIterator[dict[str, Any]]:
        yield {Key(number): number}

    async def live() -> None:
        server = Server(LifespanASGIHandler())
        assert await server.start() == STARTED
        assert len(server.scope["state"]) == count
        assert await server.stop() == STOPPED

    for number in range(count):
        register_lifespan_manager(context_manager=functools.partial(factory, number))
    asyncio.run(live(), debug=False)  # in debug mode the loop itself does most of the work


def _work(count: int) -> int:
    """Return how many functions were called, and generators resumed, in the life of *count*."""
    calls = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        _live(count)
    finally:
        sys.setprofile(before)
    return calls


def test_d27_the_work_grows_with_the_number_of_managers_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten times as many take about ten times as many calls. A square would take a hundred times.

    Calls are counted, not seconds, so the count is the same however busy the machine is. Twenty
    leaves room for anything short of a square, a factor of the logarithm included.
    """
    caplog.set_level(logging.CRITICAL)
    counts = []
    for count in (1, 200, 2000):  # the first does the work that is done once in a process
        _forget_managers(monkeypatch)
        counts.append(_work(count))
    _, few, many = counts
    assert few > 0
    assert many / few < 20


def _forget_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start anew with registering."""
    monkeypatch.setattr(asgi_lifespan, "receivers", [])
    with contextlib.suppress(ImportError):
        from django_asgi_lifespan.resources import registry

        monkeypatch.setattr(registry, "_declared", {})
