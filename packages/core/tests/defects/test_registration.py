"""d16 to d20: objects that can be registered, and errors for those that cannot."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from defects.helpers import STARTED, STOPPED, Journal, Manager, Server, manager
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_lifespan, asgi_startup


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
