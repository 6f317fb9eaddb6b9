"""The ASGI handler and the function that makes it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.test import AsyncRequestFactory

from django_asgi_lifespan import StartupFailedError, asgi, autodiscovery, resource
from django_asgi_lifespan.apps import LifespanConfig
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler, LifespanASGIRequest


def test_the_application_is_a_handler_of_django() -> None:
    """It replaces Django's in place."""
    application = asgi.get_asgi_application()
    assert isinstance(application, LifespanASGIHandler)
    assert isinstance(application, ASGIHandler)
    assert inspect.iscoroutinefunction(LifespanASGIHandler.__call__)


def test_django_is_set_up_as_its_own_function_does() -> None:
    """Looked up when called, so that tests can replace it, and without the script prefix."""
    with mock.patch("django_asgi_lifespan.asgi.django.setup") as setup:
        asgi.get_asgi_application()
    setup.assert_called_once_with(set_prefix=False)


def test_a_request_has_the_state_of_its_scope() -> None:
    """The object itself. It can be replaced by plain assignment."""
    scope = AsyncRequestFactory()._base_scope(path="/", state={"a": 1})
    request = LifespanASGIRequest(scope, None)  # type: ignore[arg-type]
    assert isinstance(request, ASGIRequest)
    assert request.state is scope["state"]
    request.state = {"b": 2}
    assert request.state == {"b": 2}


async def test_it_works_behind_a_function_that_forwards() -> None:
    """As the documentation of 0.5 had people write it."""
    handler = LifespanASGIHandler()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "lifespan"):
            await handler(scope, receive, send)

    @resource
    async def a() -> AsyncIterator[int]:
        yield 1

    async with LifespanDriver(application) as state:
        assert state == {"a": 1}


async def test_once_everything_runs_requests_pass_the_gate_unseen() -> None:
    """Not before the first request, not beside another lifespan, not after the end."""
    handler = LifespanASGIHandler()
    seen = []

    class Watched(LifespanASGIHandler):
        async def __call__(self, *arguments: Any) -> None:
            raise AssertionError

    async def nothing(*_: Any) -> None: ...

    with mock.patch.object(ASGIHandler, "__call__", nothing):

        async def ask() -> None:
            await handler({"type": "http", "state": {}}, None, None)  # type: ignore[arg-type]
            seen.append(handler._gate.is_open)

        seen.append(handler._gate.is_open)
        first, second = LifespanDriver(handler), LifespanDriver(handler)
        await first.startup()
        seen.append(handler._gate.is_open)
        await ask()
        await second.startup()
        seen.append(handler._gate.is_open)
        await ask()
        await second.shutdown()
        seen.append(handler._gate.is_open)
        await ask()
        await first.shutdown()
        seen.append(handler._gate.is_open)
    assert seen == [False, False, True, False, False, False, True, False]


async def test_requests_of_a_loop_without_a_lifespan_get_an_empty_state() -> None:
    """A resource of another loop would not work there."""
    handler = LifespanASGIHandler()
    scopes: list[Any] = []

    async def django(self: Any, scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    with mock.patch.object(ASGIHandler, "__call__", django):
        await handler({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert scopes == [{"type": "http", "state": {}}]


# Discovery


def test_modules_are_discovered_when_the_application_is_made(settings: Any) -> None:
    """Unless the settings forbid it. Also without our Django app in the settings."""
    with mock.patch.object(autodiscovery, "import_modules") as discovered:
        LifespanASGIHandler()
        discovered.assert_called_once_with(None)
        settings.ASGI_LIFESPAN = {"AUTODISCOVER": False}
        LifespanASGIHandler()
        discovered.assert_called_once()


def test_nothing_is_discovered_while_django_is_not_set_up() -> None:
    """The lifespan's start does it then."""
    with (
        mock.patch.object(apps, "ready", new=False),
        mock.patch.object(autodiscovery, "import_modules") as discovered,
    ):
        LifespanASGIHandler()
    discovered.assert_not_called()


def test_the_django_app_discovers_when_it_is_ready() -> None:
    """As ``manage.py check`` and the shell should see the declared resources."""
    config = apps.get_app_config("django_asgi_lifespan")
    assert isinstance(config, LifespanConfig)
    with mock.patch.object(autodiscovery, "import_modules") as discovered:
        config.ready()
    discovered.assert_called_once_with(None)


@pytest.mark.parametrize("exception", [ValueError("broken module"), SystemExit(7)])
async def test_a_module_that_cannot_be_imported_fails_the_startup(
    exception: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """With its exception, and the traceback in the log."""
    handler = LifespanASGIHandler()
    with (
        mock.patch.object(autodiscovery, "import_modules", side_effect=exception),
        pytest.raises(StartupFailedError, match=f"{type(exception).__name__}: "),
    ):
        await LifespanDriver(handler).startup()
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is exception


async def test_wrong_settings_fail_the_startup(settings: Any) -> None:
    """With the message of ImproperlyConfigured."""
    handler = LifespanASGIHandler()
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": "soon"}
    with pytest.raises(StartupFailedError, match=r"ASGI_LIFESPAN\['SHUTDOWN_TIMEOUT'\] is 'soon'"):
        await LifespanDriver(handler).startup()


def test_wrong_settings_are_found_when_the_application_is_made(settings: Any) -> None:
    """Before the server serves anything."""
    settings.ASGI_LIFESPAN = {"TIMEOUT": 1}
    with pytest.raises(ImproperlyConfigured):
        LifespanASGIHandler()


def test_an_event_loop_that_is_not_asyncios_fails_the_startup(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Django cannot run on trio: the server and the log are told so, and the remedy."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    call = LifespanASGIHandler()({"type": "lifespan"}, receive, send)
    with pytest.raises(StopIteration):
        call.send(None)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "asyncio alone" in sent[0]["message"]
    assert [record.message for record in caplog.records] == [sent[0]["message"]]
