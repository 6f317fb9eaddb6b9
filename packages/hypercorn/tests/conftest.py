"""Starting hypercorn with the test project of the core."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start

Start = Callable[..., AbstractContextManager[Process]]

STOCK, TWIN = "hypercorn", "django_asgi_lifespan_hypercorn"


WAYS = {"stock command": (STOCK, "asyncio"), "twin": (TWIN, "uvloop")}
"""A module to run, hypercorn's own or this package's, and a worker class.

What one of the classes needs is done by the hooks, under both commands alike.
"""


@pytest.fixture(params=["stock command"])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The key of ``WAYS`` that the test asks for."""
    module, worker = WAYS[request.param]
    return module, worker if importlib.util.find_spec(worker) else "asyncio"


@pytest.fixture
def module(way: tuple[str, str]) -> str:
    """The module that is run."""
    return way[0]


@pytest.fixture
def hypercorn(tmp_path: Path, way: tuple[str, str]) -> Start:
    """Return what starts hypercorn, by either command, with a Django app of the project."""

    def launch(
        django_app: str, *options: str, asgi: str = "asgi", **environment: str
    ) -> AbstractContextManager[Process]:
        module, worker = way
        command = [sys.executable, "-m", module, f"project.{asgi}:application"]
        command += ["--bind", f"{HOST}:{{port}}", "--worker-class", worker, *options]
        return start(command, django_app, environment=environment)

    return launch
