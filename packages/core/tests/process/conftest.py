"""Starting processes of the test project, stock uvicorn above all."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start

if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]  # they send the OS signals of POSIX

Start = Callable[..., AbstractContextManager[Process]]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    """The event loop to run the server with, as uvicorn's option has it."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture
def uvicorn(tmp_path: Path) -> Start:
    """Return a function that starts stock uvicorn with a Django app, without an adapter."""

    def launch(
        django_app: str, *options: str, asgi: str = "asgi", **environment: str
    ) -> AbstractContextManager[Process]:
        command = [sys.executable, "-m", "uvicorn", f"project.{asgi}:application"]
        command += ["--host", HOST, "--port", "{port}", *options]
        return start(command, django_app, environment={"ADAPTERS": "none", **environment})

    return launch


@pytest.fixture
def python(tmp_path: Path) -> Start:
    """Return a function that starts a module of the project as a program."""

    def launch(django_app: str, module: str, **environment: str) -> AbstractContextManager[Process]:
        command = [sys.executable, "-m", f"project.{module}"]
        return start(command, django_app, environment=environment)

    return launch


@pytest.fixture
def dev_mode() -> dict[str, str]:
    """The environment in which Python reports objects left open, unawaited or unretrieved."""
    # Deprecations in Python are the concern of those who use it, other packages maybe.
    deprecations = "ignore::DeprecationWarning,ignore::PendingDeprecationWarning"
    return {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": deprecations}
