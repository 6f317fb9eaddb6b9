"""The messages of code that asks for a resource in vain: each with its place and a remedy."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator
from importlib import invalidate_caches
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.exceptions import AppRegistryNotReady
from django.test import Client, SimpleTestCase
from django.urls import path

from django_asgi_lifespan import (
    LifespanError,
    ResourceUnavailableError,
    resource,
    run_lifespan,
    run_lifespan_sync,
    stopping,
)
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.places import REMEDIES, place_of

# Programs

MAIL = {"django.core.mail": SimpleNamespace(outbox=[])}


@pytest.mark.parametrize(
    ("arguments", "modules", "place", "words"),
    [
        (["/venv/bin/pytest", "tests"], {"_pytest": None}, "test", "override(value)"),
        (["manage.py", "test"], {}, "test", "In a test"),
        (["tests/run.py"], MAIL, "test", "In a test"),
        (["manage.py", "shell"], {}, "shell", "__enter__()"),
        (["manage.py", "-v2", "shell_plus"], {}, "shell", "__enter__()"),
        (["/venv/lib/ipykernel_launcher.py", "-f", "x"], {}, "shell", "In a notebook"),
        (["/venv/bin/ipython"], {}, "shell", "running.run(...)"),
        (["manage.py", "import_prices"], {}, "command", "handle()"),
        (["/venv/bin/django-admin", "import_prices"], {}, "command", "running.run(...)"),
        (["/lib/django/__main__.py", "import_prices"], {}, "command", "handle()"),
        (["manage.py"], {}, "command", "handle()"),
        (["/venv/bin/celery", "-A", "mysite", "worker"], {}, "task worker", "task queue"),
        (["/lib/celery/__main__.py", "worker"], {}, "task worker", "when that process starts"),
        (["manage.py", "db_worker"], {}, "task worker", "around the code of the task"),
        (["manage.py", "rqworker", "high"], {}, "task worker", "task queue"),
        (["manage.py", "runworker", "thumbnails"], {}, "runworker", "consumer"),
        (["manage.py", "runserver"], {}, "unknown", None),
        (["/venv/bin/uvicorn", "mysite.asgi"], {"django.core.mail": None}, "unknown", None),
        (["script.py"], {}, "unknown", None),
        ([], {}, "unknown", None),
    ],
)
def test_each_kind_of_program_has_a_remedy(
    arguments: list[str], modules: dict[str, Any], place: str, words: str | None
) -> None:
    """It is known by its command line. The stack tells the servers."""
    assert place_of(arguments, modules) == place
    assert (words in REMEDIES[place]) if words else (place not in REMEDIES)


def test_a_prompt_of_python_is_a_shell() -> None:
    """Whose command line is empty."""
    assert place_of([""], {}, is_interactive=True) == "shell"


# Another event loop


async def _values() -> AsyncIterator[int]:
    yield 1


def asked_by(call: Callable[[Callable[[], Any]], object], ask: Callable[[], Any]) -> str:
    """Return the error of *ask*, which *call* calls."""
    with pytest.raises(ResourceUnavailableError) as error:
        call(ask)
    return str(error.value)


def _by_async_to_sync(ask: Callable[[], Any]) -> None:
    async def function() -> None:
        ask()

    async_to_sync(function)()


def _by_asyncio_run(ask: Callable[[], Any]) -> None:
    async def function() -> None:
        ask()

    asyncio.run(function())


def _by_an_async_view(ask: Callable[[], Any]) -> None:
    async def view(request: object) -> None:
        ask()

    with SimpleTestCase().settings(ROOT_URLCONF=(path("", view),)):
        Client().get("/")


@pytest.mark.parametrize("call", [_by_async_to_sync, _by_asyncio_run, _by_an_async_view])
def test_under_run_lifespan_sync_another_loop_is_told_of_run(call: Any) -> None:
    """An async view cannot help it."""
    number = resource(_values, name="number")
    with run_lifespan_sync() as running:
        message = asked_by(call, number.get)
        assert "running.run(...)" in message
        assert "async view" not in message
        assert running.run(_ask(number)) == 1


async def _ask(number: Any) -> int:
    value: int = number.get()
    return value


@pytest.mark.real_clock
async def test_under_a_server_another_loop_is_told_of_its_views() -> None:
    """As before."""
    number = resource(_values, name="number")
    messages: list[str] = []

    def ask() -> None:
        messages.append(asked_by(_by_asyncio_run, number.get))

    async with LifespanDriver(LifespanASGIHandler()):
        thread = threading.Thread(target=ask)
        thread.start()
        await asyncio.to_thread(thread.join)
    assert "in an async view, or by async_to_sync in a sync view" in messages[0]


# Trio


def drive(coroutine: Any) -> None:
    """Begin a coroutine without an event loop of asyncio, as another library would."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


def test_an_event_loop_that_is_not_of_asyncio_is_named() -> None:
    """With both ways out."""
    for coroutine in (run_lifespan().__aenter__(), stopping()):
        with pytest.raises(LifespanError) as error:
            drive(coroutine)
        for words in ("asyncio alone", "trio.run()", "run_lifespan_sync()"):
            assert words in str(error.value)


# Django is not set up


def test_django_that_is_not_set_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each place that notices it."""
    monkeypatch.setattr(apps, "apps_ready", False)

    async def application(scope: Any, receive: Any, send: Any) -> None: ...

    with pytest.raises(AppRegistryNotReady, match=r"call django\.setup\(\) first"):
        LifespanApplication(application)
    with pytest.raises(LifespanError, match=r"call django\.setup\(\) first"), run_lifespan_sync():
        pass


# Resources that nothing imports

TEXT = "from django_asgi_lifespan import resource\n@resource\nasync def late():\n    yield 1\n"


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[str], str]]:
    """Write a module, and return the error of its resource, which is imported in a lifespan."""
    monkeypatch.syspath_prepend(tmp_path)

    def ask(module: str) -> str:
        path = tmp_path / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(TEXT)
        invalidate_caches()
        with run_lifespan_sync():
            late = __import__(module, fromlist=["late"]).late
            return asked_by(lambda ask: ask(), late.get)

    yield ask
    for name in [name for name in sys.modules if name.startswith("late_")]:
        del sys.modules[name]


def test_a_django_app_that_is_not_installed_is_named(late: Callable[[str], str]) -> None:
    """Its module is a ``lifespan.py`` already."""
    assert late("late_weather.lifespan") == (
        "late is not available: it was declared after the startup of this lifespan had begun, in "
        "late_weather.lifespan. Only the lifespan.py of an installed Django app is imported by "
        "itself: add 'late_weather' to INSTALLED_APPS."
    )


def test_a_django_app_that_the_settings_leave_out_is_named(
    late: Callable[[str], str], settings: Any, tmp_path: Path
) -> None:
    """With the setting."""
    settings.ASGI_LIFESPAN = {"AUTODISCOVER": []}
    (tmp_path / "late_shop").mkdir()
    (tmp_path / "late_shop" / "__init__.py").touch()
    with SimpleTestCase().settings(INSTALLED_APPS=["late_shop"]):
        message = late("late_shop.lifespan")
    assert message.endswith(
        "late_shop.lifespan. ASGI_LIFESPAN['AUTODISCOVER'] leaves this module out. Add 'late_shop' "
        "to its list, or import the module in the lifespan.py of an installed Django app."
    )


def test_another_module_is_to_be_imported(late: Callable[[str], str]) -> None:
    """By a ``lifespan.py``."""
    assert late("late_pools.pools").endswith(
        "in late_pools.pools. Import this module in the lifespan.py of an installed Django app."
    )


def test_a_lifespan_module_inside_a_django_app_is_to_be_imported(
    late: Callable[[str], str], tmp_path: Path
) -> None:
    """By that of the Django app."""
    package = tmp_path / "late_house"
    package.mkdir()
    (package / "__init__.py").touch()
    with SimpleTestCase().settings(INSTALLED_APPS=["late_house"]):
        message = late("late_house.kitchen.lifespan")
    assert message.endswith("Import this module in the lifespan.py of an installed Django app.")
