"""What all tests of the core share: Django set up, a fresh loop a test, an empty registry."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterator
from typing import Any

import django
import hypothesis
import pytest
from django.conf import settings as django_settings

django_settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django_asgi_lifespan"],
    ROOT_URLCONF="urls",
    SECRET_KEY="for tests only",
    USE_TZ=True,
)
django.setup()

from django_asgi_lifespan.adapters import discovery  # noqa: E402
from django_asgi_lifespan.lifespans import lifespans  # noqa: E402
from django_asgi_lifespan.resources import registry  # noqa: E402
from django_asgi_lifespan.signals import (  # noqa: E402
    asgi_lifespan,
    asgi_shutdown,
    asgi_startup,
    asgi_stopping,
)
from virtual_clock import VirtualClockLoop, run  # noqa: E402

hypothesis.settings.register_profile("default", deadline=None, max_examples=300)
hypothesis.settings.register_profile("small", deadline=None, max_examples=50)
hypothesis.settings.register_profile("large", deadline=None, max_examples=6000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in a loop of its own, with the virtual clock unless marked otherwise."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    real = pyfuncitem.get_closest_marker("real_clock")
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    run(pyfuncitem.obj(**arguments), asyncio.new_event_loop if real else VirtualClockLoop)
    return True


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give every test an empty registry, signals without receivers, and no lifespan before it.

    The adapters that happen to be installed stay out, too.
    """
    monkeypatch.setattr(discovery, "SERVERS", ())
    monkeypatch.setattr(registry, "_declared", {})
    for signal in (asgi_lifespan, asgi_startup, asgi_stopping, asgi_shutdown):
        monkeypatch.setattr(signal, "receivers", [])
    monkeypatch.setattr(lifespans, "absence", "never begun")
    monkeypatch.setattr(lifespans, "cause", "")
    yield
    assert not lifespans.running, "a lifespan is still running after the test"
    assert not lifespans.unfinished, "a lifespan was begun and not ended"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Django's settings, to be changed for one test by plain assignment."""

    class Changeable:
        def __setattr__(self, name: str, value: object) -> None:
            monkeypatch.setattr(django_settings, name, value, raising=False)

    return Changeable()


@pytest.fixture
def journal() -> list[str]:
    """The journal of a test: its resources and receivers write down each event, in order."""
    return []
