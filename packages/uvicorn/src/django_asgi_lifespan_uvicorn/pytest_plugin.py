"""The pytest plugin: the fixture ``live_lifespan_server``. Without it it loads nothing."""

from __future__ import annotations

from collections.abc import Generator
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .live import LiveServer

__all__ = ()


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixture. With pytest-django the test commits, so that the server sees it."""
    plugin = ModuleType("django_asgi_lifespan_uvicorn_fixtures")
    has_django = config.pluginmanager.has_plugin("django")
    fixture = _with_pytest_django if has_django else _alone
    vars(plugin)["live_lifespan_server"] = pytest.fixture(name="live_lifespan_server")(fixture)
    config.pluginmanager.register(plugin, plugin.__name__)


def _with_pytest_django(
    request: pytest.FixtureRequest, transactional_db: None
) -> Generator[LiveServer]:
    """Serve the project by uvicorn, in a thread, on a port of 127.0.0.1."""
    yield from _alone(request)


def _alone(request: pytest.FixtureRequest) -> Generator[LiveServer]:
    """Serve the project by uvicorn, in a thread, on a port of 127.0.0.1."""
    from django_asgi_lifespan.pytest_plugin import marker_options

    from .live import run_live_server

    with run_live_server(**marker_options(request)) as server:
        yield server
