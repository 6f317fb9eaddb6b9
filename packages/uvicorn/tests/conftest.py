"""Starting processes of the core's test project, under uvicorn with this adapter."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import django
import pytest

from process.conftest import dev_mode, loop
from testkit import servers
from testkit.processes import start
from testkit.servers import Start

__all__ = ("dev_mode", "loop")

if sys.platform == "win32":
    collect_ignore_glob = ["test_process_*.py"]  # they send the OS signals of POSIX

Setup = tuple[int, list[str]]

# Before 5.0, Django did not end a view whose client had gone. uvicorn logs its cancellation.
CANCELS_QUIETLY = django.VERSION >= (5, 0)


@pytest.fixture(params=["asyncio", "uvloop", "2 workers"])
def setup(request: pytest.FixtureRequest) -> Setup:
    """The number of processes that serve, with the options for it, and either event loop."""
    if request.param == "2 workers":
        return 2, ["--workers", "2"]
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return 1, ["--loop", request.param]


@pytest.fixture
def command() -> Start:
    """Return the starter of the command, with a Django app of the project."""
    return servers.uvicorn("django_asgi_lifespan_uvicorn")


@pytest.fixture
def stock() -> Start:
    """Return the starter of uvicorn's own command, where the hooks act."""
    return servers.uvicorn()


@pytest.fixture
def runserver(tmp_path: Path) -> Start:
    """Return the starter of the development server, with a Django app that is in ``tmp_path``."""
    (tmp_path / "changing").mkdir()
    (tmp_path / "changing" / "__init__.py").touch()
    (tmp_path / "changing" / "lifespan.py").touch()
    path = os.pathsep.join([str(Path(__file__).parent), str(tmp_path)])

    def launch(*options: str, address: str = "{port}", **environment: str) -> Any:
        program = [sys.executable, "-m", "django", "runserver", address, *options]
        variables = {
            "DJANGO_SETTINGS_MODULE": "runserver_settings",
            "MORE_APPS": "django_asgi_lifespan_uvicorn django.contrib.staticfiles",
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
        }
        return start(program, "chain", environment=variables | environment)

    return launch
