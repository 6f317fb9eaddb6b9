"""The names that projects written for django-asgi-lifespan 0.5 rely on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.dispatch import Signal, receiver
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, RequestFactory

import django_asgi_lifespan
from django_asgi_lifespan import asgi, compat, dispatcher, errors, events, middleware, register
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_lifespan, asgi_shutdown, asgi_startup
from django_asgi_lifespan.testing import LifespanAwareAsyncClient
from django_asgi_lifespan.types import LifespanManager, State
from virtual_clock import run

Journal = list[str]
Managed = contextlib.AbstractAsyncContextManager[State]

SIGNALS = {"startup": asgi_startup, "lifespan": asgi_lifespan, "shutdown": asgi_shutdown}
LEGACY = ("legacy", "dispatcher", "events", "compat", "middleware", "testing", "register", "types")


@pytest.fixture
def journal() -> Journal:
    """The journal of the managers and receivers of a test."""
    return []


def manager(journal: Journal, name: str, **state: Any) -> Callable[[], Managed]:
    """Return a manager that writes down when it opens and closes, and yields *state*."""

    @contextlib.asynccontextmanager
    async def factory() -> LifespanManager:
        journal.append(f"{name} opens")
        yield dict(state)
        journal.append(f"{name} closes")

    return factory


async def messages(
    application: Any, scope: dict[str, Any] | None = None, *received: str
) -> list[dict[str, Any]]:
    """Return the application's answers to these messages, by default a whole lifespan."""
    sent: list[dict[str, Any]] = []
    inbox = iter(received or ("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> dict[str, Any]:
        return {"type": next(inbox)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application({"type": "lifespan", "state": {}} if scope is None else scope, receive, send)
    return sent


async def ask(application: Any, scope: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Return status and body of the answer to a request for ``/state/``."""
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.get_running_loop().create_future()
        return body.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": "/state/", "query_string": b"", "headers": []}
    await application({**base, **(scope or {})}, receive, send)
    return sent[0]["status"], sent[1]["body"]


def python(script: str, folder: Path) -> list[str]:
    """Return the lines that a new process of Python, started in *folder*, prints for *script*."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# Names


def test_the_package_tells_its_version_and_that_it_is_typed() -> None:
    """As ``__version__``, and by the marker file of PEP 561."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", django_asgi_lifespan.__version__)
    assert resources.files(django_asgi_lifespan).joinpath("py.typed").is_file()


@pytest.mark.parametrize("statement", ["import django_asgi_lifespan", "from {} import asgi"])
def test_what_is_there_for_0_5_costs_nothing_when_unused(statement: str, tmp_path: Path) -> None:
    """None of its modules is loaded by the package or by the module that every project imports."""
    script = statement.format("django_asgi_lifespan") + (
        "\nimport sys\nprint(*(n for n in sys.modules if n.startswith('django_asgi_lifespan.')))"
    )
    [line] = python(script, tmp_path)
    loaded = line.split()
    assert "django_asgi_lifespan.resources" in loaded
    assert not {f"django_asgi_lifespan.{name}" for name in LEGACY} & set(loaded)


@pytest.mark.parametrize(
    "documented",
    [
        compat,
        compat.CompatAsyncSignal,
        dispatcher,
        dispatcher.LifespanEventDispatcher,
        errors.MissingScopeStateError,
        events,
        events.send_lifespan_signal_collecting_contexts,
        events.send_lifespan_signal_compat,
        register.LifespanContextManagerSignalWrapper,
    ],
)
def test_what_is_legacy_is_marked_deprecated_in_its_docstring(documented: object) -> None:
    """Editors show it where the name is used."""
    assert "deprecated" in (inspect.getdoc(documented) or "").lower()


# The application


def test_the_application_is_a_handler_of_django() -> None:
    """Made without arguments."""
    application = get_asgi_application()
    assert isinstance(application, LifespanASGIHandler)
    assert isinstance(application, ASGIHandler)


def test_django_is_set_up_by_what_stands_in_the_module_at_the_time() -> None:
    """Tests of projects replace it there."""
    with mock.patch("django_asgi_lifespan.asgi.django.setup") as setup:
        get_asgi_application()
    setup.assert_called_once_with(set_prefix=False)


def test_servers_see_that_the_application_is_asgi_3() -> None:
    """They ask whether ``__call__`` is a coroutine function. A plain one is taken for ASGI 2."""
    assert inspect.iscoroutinefunction(get_asgi_application().__call__)
    application = asgi.LifespanApplication(get_asgi_application())
    assert inspect.iscoroutinefunction(application.__call__)


async def test_it_works_behind_a_function_that_forwards_http_and_lifespan(
    journal: Journal,
) -> None:
    """As the documentation of 0.5 has it."""
    django_application = get_asgi_application()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in {"http", "lifespan"}:
            raise NotImplementedError
        await django_application(scope, receive, send)

    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    async with LifespanDriver(application) as state:
        assert await ask(application, {"state": state.copy()}) == (200, b'{"a": "1"}')
    assert journal == ["a opens", "a closes"]


async def test_the_answers_are_exactly_the_two_complete_messages() -> None:
    """With nothing but their type."""
    assert await messages(LifespanASGIHandler()) == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


@pytest.mark.parametrize("culprit", ["manager", "startup receiver", "lifespan receiver"])
async def test_a_failed_startup_is_answered_with_the_text_of_the_exception(
    culprit: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The handler logs the traceback once and returns: raising would tell no server more."""
    exception = ValueError("no luck: 42")

    async def fails(**_: Any) -> None:
        raise exception

    @contextlib.asynccontextmanager
    async def failing() -> LifespanManager:
        raise exception
        yield {}

    if culprit == "manager":
        register_lifespan_manager(context_manager=failing)
    else:
        SIGNALS[culprit.split(maxsplit=1)[0]].connect(fails)
    [answer] = await messages(LifespanASGIHandler(), None, "lifespan.startup")
    assert answer["type"] == "lifespan.startup.failed"
    assert str(exception) in answer["message"]
    _check_that_one_record_has(caplog, exception)


@pytest.mark.parametrize("culprit", ["manager", "shutdown receiver"])
async def test_a_failed_shutdown_is_answered_with_the_text_of_the_exception(
    culprit: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The handler logs the traceback once and returns."""
    exception = ValueError("no luck: 42")

    async def fails(**_: Any) -> None:
        raise exception

    @contextlib.asynccontextmanager
    async def failing() -> LifespanManager:
        yield {}
        raise exception

    if culprit == "manager":
        register_lifespan_manager(context_manager=failing)
    else:
        asgi_shutdown.connect(fails)
    [_, answer] = await messages(LifespanASGIHandler())
    assert answer["type"] == "lifespan.shutdown.failed"
    assert str(exception) in answer["message"]
    _check_that_one_record_has(caplog, exception)


def _check_that_one_record_has(caplog: pytest.LogCaptureFixture, exception: BaseException) -> None:
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert record.exc_info[1] is exception


@pytest.mark.parametrize("failed", [False, True])
async def test_other_scope_types_get_djangos_own_error(failed: bool) -> None:
    """No matter how the lifespan ended."""
    handler = LifespanASGIHandler()
    if failed:
        asgi_startup.connect(_fail)
        await messages(handler, None, "lifespan.startup")

    async def unused(*_: Any) -> Any:
        raise AssertionError("nothing is to be received or sent")

    with pytest.raises(ValueError, match="Django can only handle ASGI/HTTP connections, not mqtt"):
        await handler({"type": "mqtt"}, unused, unused)


async def _fail(**_: Any) -> None:
    raise ValueError("no luck")


@pytest.mark.parametrize("received", [("lifespan.pause",), ("lifespan.startup", "lifespan.pause")])
async def test_an_unknown_lifespan_message_is_an_error(
    received: tuple[str, ...], journal: Journal
) -> None:
    """It names the message, and each open resource is closed."""
    register_lifespan_manager(context_manager=manager(journal, "a"))
    with pytest.raises(Exception, match=r"lifespan\.pause"):
        await messages(LifespanASGIHandler(), None, *received)
    assert journal == ["a opens", "a closes"] * (len(received) - 1)


def test_one_handler_serves_several_lifespans_in_different_loops(journal: Journal) -> None:
    """One after the other, each with a state of its own."""
    handler = LifespanASGIHandler()
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    scopes: list[dict[str, Any]] = [{"type": "lifespan", "state": {}} for _ in range(3)]
    for scope in scopes:
        assert len(run(messages(handler, scope))) == 2
        assert scope["state"] == {"a": 1}
    assert journal == ["a opens", "a closes"] * 3


# The state


async def test_the_servers_state_is_updated_in_place(journal: Journal) -> None:
    """It stays the object that it was, and the keys that the server put there stay."""
    given = {"server": "its own"}
    scope = {"type": "lifespan", "state": given}
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    register_lifespan_manager(context_manager=manager(journal, "b", b=2))
    await messages(LifespanASGIHandler(), scope)
    assert scope["state"] is given
    assert given == {"server": "its own", "a": 1, "b": 2}


async def test_without_a_state_in_the_scope_all_works_the_same(journal: Journal) -> None:
    """Managers open and close, and requests, which come without one too, see the state."""
    handler = LifespanASGIHandler()
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    answers: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def receive_after_a_request() -> Any:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                answers.append(await ask(handler))
            return message

        await handler(scope, receive_after_a_request, send)

    sent = await messages(application, {"type": "lifespan"})
    assert [message["type"].split(".")[-1] for message in sent] == ["complete", "complete"]
    assert answers == [(200, b'{"a": "1"}')]
    assert journal == ["a opens", "a closes"]


async def test_what_receivers_write_into_the_servers_state_stays(journal: Journal) -> None:
    """Through ``scope``, with new keys and with those of the server."""

    async def listen(scope: dict[str, Any], **_: Any) -> None:
        scope["state"].update(server="another", new="written")

    asgi_startup.connect(listen)
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))
    scope = {"type": "lifespan", "state": {"server": "its own"}}
    await messages(LifespanASGIHandler(), scope)
    assert scope["state"] == {"server": "another", "new": "written", "a": 1}


# Signals


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
def test_the_signals_are_signals_of_django(signal: Signal, journal: Journal) -> None:
    """Django's decorator connects to them, and they can be sent by hand."""

    @receiver(signal)
    def listen(**_: Any) -> str:
        journal.append("called")
        return "answer"

    assert isinstance(signal, Signal)
    assert signal.has_listeners()
    assert signal.send(sender=None) == [(listen, "answer")]
    assert signal.disconnect(listen)
    assert journal == ["called"]


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_receivers_get_signal_sender_scope_and_state(signal: Signal) -> None:
    """Async and sync ones, each called once a lifespan, and their results are ignored."""
    calls: list[dict[str, Any]] = []
    result = object() if signal is not asgi_lifespan else None

    async def listen(**arguments: Any) -> Any:
        calls.append(arguments)
        return result

    def listen_sync(**arguments: Any) -> Any:
        calls.append(arguments)
        return result

    signal.connect(listen)
    signal.connect(listen_sync)
    handler = LifespanASGIHandler()
    for lifespans in (1, 2):
        scope: dict[str, Any] = {"type": "lifespan", "state": {"server": "its own"}}
        sent = await messages(handler, scope)
        assert [message["type"].split(".")[-1] for message in sent] == ["complete", "complete"]
        assert len(calls) == 2 * lifespans
    for call in calls[-2:]:
        assert set(call) == {"signal", "sender", "scope", "state"}
        assert call["signal"] is signal
        assert call["sender"] is events.LifespanSender
        assert call["scope"] is scope
        assert call["state"] == {"server": "its own"}


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", [asgi_startup, asgi_shutdown], ids=["startup", "shutdown"])
async def test_receivers_of_startup_and_shutdown_get_the_filled_state(
    signal: Signal, journal: Journal
) -> None:
    """With the values that the managers yielded, and they are still open."""
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))

    async def listen(state: State, **_: Any) -> None:
        journal.append(f"receiver with {state['a']}")

    def listen_sync(state: State, **_: Any) -> None:
        journal.append(f"sync receiver with {state['a']}")

    signal.connect(listen)
    signal.connect(listen_sync)
    await messages(LifespanASGIHandler())
    assert journal == ["a opens", "receiver with 1", "sync receiver with 1", "a closes"]


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_receivers_may_take_no_arguments(
    signal: Signal, journal: Journal, settings: Any
) -> None:
    """Those of the original quickstart do not, and Django refuses them in debug mode."""
    settings.DEBUG = True

    async def create_client() -> None:
        journal.append("async")

    def create_client_sync() -> None:
        journal.append("sync")

    signal.connect(create_client)
    signal.connect(create_client_sync)
    await messages(LifespanASGIHandler())
    assert journal == ["async", "sync"]


@pytest.mark.parametrize("weak", [None, True, False])
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_receivers_are_held_strongly_unless_weak_is_given(
    signal: Signal, weak: bool | None, journal: Journal
) -> None:
    """A function that nobody else holds is gone only if that was asked for."""

    async def listen(**_: Any) -> None:
        journal.append("called")

    signal.connect(listen, **({} if weak is None else {"weak": weak}))
    del listen
    gc.collect()
    await messages(LifespanASGIHandler())
    assert journal == ([] if weak else ["called"])


async def test_the_context_manager_that_a_receiver_returns_is_entered(journal: Journal) -> None:
    """Receivers of ``asgi_lifespan`` return its factory. Its value goes into the state."""

    async def listen(**_: Any) -> Callable[[], Managed]:
        return manager(journal, "a", a=1)

    asgi_lifespan.connect(listen)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert journal == ["a opens"]
        assert state == {"a": 1}
    assert journal == ["a opens", "a closes"]


# Managers


async def test_a_manager_registered_twice_is_entered_twice(journal: Journal) -> None:
    """Each registration counts, and each can be taken back alone, once."""
    factory = manager(journal, "a")
    unregister = register_lifespan_manager(context_manager=factory)
    register_lifespan_manager(context_manager=factory)
    await messages(LifespanASGIHandler())
    assert journal == ["a opens", "a opens", "a closes", "a closes"]
    journal.clear()
    unregister()
    unregister()
    await messages(LifespanASGIHandler())
    assert journal == ["a opens", "a closes"]


async def test_a_manager_may_be_a_class(journal: Journal) -> None:
    """Any function that returns an async context manager will do."""

    class Client:
        async def __aenter__(self) -> State:
            journal.append("opens")
            return {"client": self}

        async def __aexit__(self, *_: object) -> None:
            journal.append("closes")

    register_lifespan_manager(context_manager=Client)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert isinstance(state["client"], Client)
    assert journal == ["opens", "closes"]


async def test_of_two_managers_with_one_key_the_first_registered_wins(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names both."""

    @contextlib.asynccontextmanager
    async def first() -> LifespanManager:
        yield {"key": "first"}

    @contextlib.asynccontextmanager
    async def second() -> LifespanManager:
        yield {"key": "second", "other": "second"}

    register_lifespan_manager(context_manager=first)
    register_lifespan_manager(context_manager=second)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert state == {"key": "first", "other": "second"}
    [warning] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert first.__qualname__ in warning
    assert second.__qualname__ in warning


@pytest.mark.parametrize("first", ["manager", "receiver"])
async def test_a_manager_and_a_receivers_manager_win_by_registration_too(
    first: str, journal: Journal
) -> None:
    """``register_lifespan_manager()`` and ``asgi_lifespan`` are two ways to one list."""

    async def listen(**_: Any) -> Callable[[], Managed]:
        return manager(journal, "receiver", key="receiver")

    if first == "receiver":
        asgi_lifespan.connect(listen)
    register_lifespan_manager(context_manager=manager(journal, "manager", key="manager"))
    if first == "manager":
        asgi_lifespan.connect(listen)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert state == {"key": first}


def test_managers_can_be_annotated_as_before() -> None:
    """A manager is an async generator of states, a state any mapping that can be changed."""

    async def annotated() -> LifespanManager:
        state: State = {}
        yield state

    assert inspect.isasyncgenfunction(annotated)
    assert issubclass(cast("Any", LifespanManager).__origin__, AsyncGenerator)
    assert issubclass(dict, cast("Any", State).__origin__)


# The middleware


def test_the_middleware_has_its_older_name_too() -> None:
    """Settings name it by a dotted path."""
    assert middleware.AsyncMiddleware is middleware.LifespanStateMiddleware


async def test_the_middleware_sets_the_object_of_the_scope() -> None:
    """Not a copy, and also on requests that Django's own handler made."""
    state = {"a": 1}
    request = AsyncRequestFactory().get("/")
    request.scope["state"] = state
    response = HttpResponse()

    async def view(request: HttpRequest) -> HttpResponse:
        assert request.state is state  # type: ignore[attr-defined]
        return response

    answer: Any = middleware.LifespanStateMiddleware(view)(request)
    assert await answer is response
    assert request.state is state  # type: ignore[attr-defined]


def test_the_middleware_is_sync_before_a_sync_view() -> None:
    """A WSGI request, which has no scope, gets a state too."""
    request = RequestFactory().get("/")
    response = HttpResponse()
    answer = middleware.LifespanStateMiddleware(lambda _: response)(request)
    assert answer is response
    assert request.state == {}  # type: ignore[attr-defined]


async def test_the_middleware_never_raises_a_key_error() -> None:
    """Where the scope has no state, requests get that of the running lifespan, or an empty one."""

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    async def state_of_a_request() -> Any:
        request: Any = AsyncRequestFactory().get("/")
        assert "state" not in request.scope
        answer: Any = middleware.LifespanStateMiddleware(view)(request)
        await answer
        return request.state

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[State]:
        yield {"a": 1}

    assert await state_of_a_request() == {}
    register_lifespan_manager(context_manager=factory)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert await state_of_a_request() == {"a": 1}
        (await state_of_a_request())["b"] = 2
        assert state == {"a": 1}


@pytest.mark.parametrize("installed", [True, False])
async def test_requests_of_the_handler_have_a_state_without_the_middleware(
    installed: bool, settings: Any
) -> None:
    """With it, they have the same."""
    path = "django_asgi_lifespan.middleware.LifespanStateMiddleware"
    settings.MIDDLEWARE = [path] if installed else []
    answer = await ask(LifespanASGIHandler(), {"state": {"a": 1}})
    assert answer == (200, b'{"a": "1"}')


# The test client


@pytest.mark.real_clock
async def test_the_client_puts_the_given_state_into_requests(settings: Any) -> None:
    """It is a client of Django, with its other arguments and methods."""
    settings.MIDDLEWARE = ["django_asgi_lifespan.middleware.LifespanStateMiddleware"]
    state: State = {"a": 1}
    client = LifespanAwareAsyncClient(state=state, REMOTE_ADDR="127.0.0.2")
    assert isinstance(client, AsyncClient)
    assert client.state is state
    response = await client.get("/state/", headers={"accept": "text/plain"})
    assert response.json() == {"a": "1"}
    request: Any = response.asgi_request  # type: ignore[attr-defined]
    assert request.headers["accept"] == "text/plain"
    assert "state" not in {name.lower() for name in request.headers}


@pytest.mark.real_clock
async def test_the_clients_state_can_be_replaced(settings: Any) -> None:
    """It is an attribute as any other."""
    settings.MIDDLEWARE = ["django_asgi_lifespan.middleware.LifespanStateMiddleware"]
    client = LifespanAwareAsyncClient(state={"a": 1})
    client.state = {"b": 2}
    assert (await client.get("/state/")).json() == {"b": "2"}


# Deprecated names


def test_the_errors_form_a_hierarchy() -> None:
    """The base catches the other."""
    assert issubclass(errors.MissingScopeStateError, errors.BaseLifespanHandlerError)
    assert issubclass(errors.BaseLifespanHandlerError, Exception)


async def test_the_dispatcher_starts_and_stops(journal: Journal) -> None:
    """Without any messages. The state is filled in place, and it can be used again."""
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))

    async def started(**_: Any) -> None:
        journal.append("startup")

    async def stopped(**_: Any) -> None:
        journal.append("shutdown")

    asgi_startup.connect(started)
    asgi_shutdown.connect(stopped)
    deprecated = dispatcher.LifespanEventDispatcher()
    for _ in range(2):
        state: dict[str, Any] = {}
        scope = {"type": "lifespan", "state": state}
        journal.clear()
        assert await deprecated.startup(scope) is None  # type: ignore[func-returns-value]
        assert journal == ["a opens", "startup"]
        assert state == {"a": 1}
        assert await deprecated.shutdown(scope) is None  # type: ignore[func-returns-value]
        assert journal == ["a opens", "startup", "shutdown", "a closes"]


async def test_the_dispatcher_raises_what_failed(journal: Journal) -> None:
    """With the text of the exception, which is the cause or the exception itself."""
    asgi_startup.connect(_fail)
    with pytest.raises(Exception, match="no luck"):
        await dispatcher.LifespanEventDispatcher().startup({"type": "lifespan", "state": {}})


async def test_the_dispatcher_can_stop_what_it_did_not_start(journal: Journal) -> None:
    """The receivers of ``asgi_shutdown`` are called: tests of them do no more than this."""

    async def stopped(**_: Any) -> None:
        journal.append("shutdown")

    asgi_shutdown.connect(stopped)
    await dispatcher.LifespanEventDispatcher().shutdown({"type": "lifespan", "state": {}})
    assert journal == ["shutdown"]


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", [asgi_startup, Signal()], ids=["ours", "djangos"])
async def test_a_signal_can_be_sent_with_a_scope(signal: Signal) -> None:
    """To async and sync receivers, of any signal. Arguments are by keyword."""
    calls: list[dict[str, Any]] = []

    async def listen(**arguments: Any) -> None:
        calls.append(arguments)

    def listen_sync(**arguments: Any) -> None:
        calls.append(arguments)

    signal.connect(listen)
    signal.connect(listen_sync)
    scope = {"type": "lifespan"}
    await events.send_lifespan_signal_compat(signal=signal, scope=scope)
    assert len(calls) == 2
    for call in calls:
        assert call == {"signal": signal, "sender": events.LifespanSender, "scope": scope}


async def test_the_context_manager_factories_of_a_signal_can_be_collected(
    journal: Journal,
) -> None:
    """They are returned in the order of the receivers, not entered."""
    factories = [manager(journal, "a"), manager(journal, "b")]
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "state": state}
    calls: list[dict[str, Any]] = []

    async def first(**arguments: Any) -> Any:
        calls.append(arguments)
        return factories[0]

    async def second(**_: Any) -> Any:
        return factories[1]

    asgi_lifespan.connect(first)
    asgi_lifespan.connect(second)
    assert isinstance(asgi_lifespan, compat.CompatAsyncSignal)
    found = await events.send_lifespan_signal_collecting_contexts(asgi_lifespan, scope)
    assert found == factories
    assert not journal
    [call] = calls
    assert call["signal"] is asgi_lifespan
    assert call["sender"] is events.LifespanSender
    assert call["scope"] is scope
    assert call["state"] is state


async def test_without_a_state_nothing_can_be_collected() -> None:
    """The error has a name of its own."""
    with pytest.raises(errors.MissingScopeStateError):
        await events.send_lifespan_signal_collecting_contexts(asgi_lifespan, {"type": "lifespan"})


async def test_the_signal_class_calls_its_async_receivers_only() -> None:
    """It returns each with its answer. Without receivers, it returns an empty list."""
    signal = compat.CompatAsyncSignal()
    assert isinstance(signal, Signal)
    assert await signal.compat_asend_async_only("sender", word="hello") == []

    async def listen(**arguments: Any) -> dict[str, Any]:
        return arguments

    def listen_sync(**_: Any) -> None:
        raise AssertionError

    signal.connect(listen)
    signal.connect(listen_sync)
    assert await signal.compat_asend_async_only("sender", word="hello") == [
        (listen, {"signal": signal, "sender": "sender", "word": "hello"})
    ]


async def test_the_wrapper_makes_a_receiver_of_a_manager(journal: Journal) -> None:
    """Connected to ``asgi_lifespan``, it has the manager entered."""
    factory = manager(journal, "a", a=1)
    wrapper = register.LifespanContextManagerSignalWrapper(factory)
    assert wrapper.context_manager is factory
    assert wrapper == register.LifespanContextManagerSignalWrapper(context_manager=factory)
    assert await wrapper.receiver(anything="at all") is factory
    asgi_lifespan.connect(wrapper.receiver, sender=None, weak=False, dispatch_uid=None)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert state == {"a": 1}
    assert journal == ["a opens", "a closes"]


# The Django app

PROJECT = """
import asyncio

from django.conf import settings

settings.configure(INSTALLED_APPS={apps}, SECRET_KEY="for tests only")
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver

async def main():
    application = get_asgi_application()
    async with LifespanDriver(application) as state:
        print(state)

asyncio.run(main())
"""


@pytest.mark.parametrize("apps", [["shop"], ["django_asgi_lifespan", "shop"]])
def test_lifespan_modules_are_discovered_with_and_without_the_django_app(
    apps: list[str], tmp_path: Path
) -> None:
    """The handler alone is enough. Both together declare once."""
    shop = tmp_path / "shop"
    shop.mkdir()
    shop.joinpath("__init__.py").touch()
    shop.joinpath("lifespan.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from django_asgi_lifespan.register import register_lifespan_manager\n"
        "@asynccontextmanager\n"
        "async def client():\n"
        "    print('open')\n"
        "    yield {'client': 1}\n"
        "    print('close')\n"
        "register_lifespan_manager(context_manager=client)\n"
    )
    lines = python(PROJECT.format(apps=apps), tmp_path)
    assert lines == ["open", "{'client': 1}", "close"]


def test_the_django_app_discovers_at_setup(tmp_path: Path) -> None:
    """Commands and the shell see the declared resources."""
    shop = tmp_path / "shop"
    shop.mkdir()
    shop.joinpath("__init__.py").touch()
    shop.joinpath("lifespan.py").write_text("print('imported')\n")
    script = (
        "import django\nfrom django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['django_asgi_lifespan', 'shop'])\ndjango.setup()\n"
    )
    assert python(script, tmp_path) == ["imported"]
