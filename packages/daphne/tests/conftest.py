"""Starting processes of the core's test project, under daphne with this adapter."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit import servers
from testkit.processes import Process, start
from testkit.servers import Start

if sys.platform == "win32":
    collect_ignore_glob = ["test_process_*.py"]  # they send the OS signals of POSIX

HERE = Path(__file__).parent


@pytest.fixture
def command(tmp_path: Path) -> Start:
    """Return what starts the command with a Django app of the project."""
    return _starter("django_asgi_lifespan_daphne")


@pytest.fixture
def stock(tmp_path: Path) -> Start:
    """Return what starts daphne's own command, where the hooks act."""
    return _starter("daphne")


@pytest.fixture(params=["stock", "command"])
def daphne(request: pytest.FixtureRequest) -> Start:
    """Both: the one or the other, for what holds under either."""
    fixture: Start = request.getfixturevalue(request.param)
    return fixture


def _starter(module: str) -> Start:
    starter = servers.daphne(module)

    def launch(
        django_app: str, *options: str, asgi: str = "asgi", **environment: str
    ) -> AbstractContextManager[Process]:
        if django_app == "rooms":  # a project of its own
            asgi = f"rooms.{asgi}"
            environment = {"DJANGO_APP": "rooms", "PYTHONPATH": str(HERE), **environment}
        return starter(django_app, *options, asgi=asgi, **environment)

    return launch


@pytest.fixture
def runserver(tmp_path: Path) -> Start:
    """Return what starts the development server, with a Django app that is in ``tmp_path``."""
    (tmp_path / "changing").mkdir()
    (tmp_path / "changing" / "__init__.py").touch()
    (tmp_path / "changing" / "lifespan.py").touch()

    def launch(
        *options: str, apps: str = "daphne", **environment: str
    ) -> AbstractContextManager[Process]:
        program = [sys.executable, "-m", "django", "runserver", "{port}", *options]
        variables = {
            "DJANGO_SETTINGS_MODULE": "runserver_settings",
            "MORE_APPS": apps,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(tmp_path)]),
            "PYTHONUNBUFFERED": "1",
        }
        return start(program, "chain", environment=variables | environment)

    return launch
