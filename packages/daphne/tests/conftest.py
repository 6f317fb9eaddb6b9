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
    collect_ignore_glob = [
        "test_process_*.py",
        "test_stop.py",
        "test_surroundings.py",
    ]  # they send the OS signals of POSIX

HERE = Path(__file__).parent


@pytest.fixture
def command(tmp_path: Path) -> Start:
    """Return the starter of the command, with a Django app of the project."""
    return _starter("django_asgi_lifespan_daphne")


@pytest.fixture
def stock(tmp_path: Path) -> Start:
    """Return the starter of daphne's own command, where the hooks act."""
    return _starter("daphne")


@pytest.fixture(params=["stock", "command"])
def daphne(request: pytest.FixtureRequest) -> Start:
    """Both: the one or the other, for behaviour that both share."""
    fixture: Start = request.getfixturevalue(request.param)
    return fixture


def _starter(module: str) -> Start:
    bound, unbound = servers.daphne(module), servers.starter("-m", module, "{application}")

    def launch(
        django_app: str, *options: str, asgi: str = "asgi", bind: bool = True, **environment: str
    ) -> AbstractContextManager[Process]:
        if django_app == "rooms":  # a project of its own
            asgi = f"rooms.{asgi}"
            environment = {"DJANGO_APP": "rooms", "PYTHONPATH": str(HERE), **environment}
        starter = bound if bind else unbound
        return starter(django_app, *options, asgi=asgi, **environment)

    return launch


@pytest.fixture
def changing(tmp_path: Path) -> Path:
    """Return the ``lifespan.py`` of a Django app that is in ``tmp_path``, to be written."""
    folder = tmp_path / "changing"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "lifespan.py").touch()
    return folder / "lifespan.py"


@pytest.fixture
def runserver(tmp_path: Path, changing: Path) -> Start:
    """Return the starter of the development server, with the Django app ``changing``."""

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
