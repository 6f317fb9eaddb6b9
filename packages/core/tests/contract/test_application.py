"""The application: a handler of Django, and its answers to the server."""

from __future__ import annotations

import contextlib
import inspect
import logging
from typing import Any
from unittest import mock

import pytest
from django.core.handlers.asgi import ASGIHandler

from contract.helpers import SIGNALS, Journal, ask, fail, manager, messages
from django_asgi_lifespan import asgi
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_shutdown, asgi_startup
from django_asgi_lifespan.types import LifespanManager
from virtual_clock import run


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
        asgi_startup.connect(fail)
        await messages(handler, None, "lifespan.startup")

    async def unused(*_: Any) -> Any:
        raise AssertionError("nothing is to be received or sent")

    with pytest.raises(ValueError, match="Django can only handle ASGI/HTTP connections, not mqtt"):
        await handler({"type": "mqtt"}, unused, unused)


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
