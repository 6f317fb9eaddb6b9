"""Starting granian with the test project of the core."""

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

LOOPS = ("asyncio", "uvloop")


@pytest.fixture(params=["uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    """The event loop, as granian's option has it; uvloop is its choice where it is installed."""
    return str(request.param) if importlib.util.find_spec(request.param) else "asyncio"


@pytest.fixture
def granian(tmp_path: Path, loop: str) -> Start:
    """Return what starts granian's command with a Django app of the project."""

    def launch(
        django_app: str,
        *options: str,
        asgi: str = "asgi",
        interface: str = "asgi",
        program: tuple[str, ...] = ("-m", "granian"),
        **environment: str,
    ) -> AbstractContextManager[Process]:
        command = [sys.executable, *program, f"project.{asgi}:application"]
        command += ["--interface", interface, "--loop", loop, "--host", HOST, "--port", "{port}"]
        return start([*command, *options], django_app, environment=environment)

    return launch
