"""Processes that load daphne, or make an application, and are not run by daphne."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start
from testkit.stories import STARTED, STOPPED

from .conftest import HERE, Start

pytestmark = pytest.mark.process

Run = Callable[..., AbstractContextManager[Process]]

OTHER_REACTOR = """
import daphne.server
from testkit import journal
from project.asgi import application
from twisted.internet import reactor

reactor.callWhenRunning(journal.write, "reactor", "running")
reactor.callLater(0.1, reactor.stop)
reactor.run()
"""
NO_SERVER = """
import sys
import daphne
from project.asgi import application
assert "django_asgi_lifespan_daphne.hooks" in sys.modules
assert "twisted" not in sys.modules
"""


@pytest.fixture
def program(tmp_path: Path) -> Run:
    """Return a function that runs Python with these arguments, ``daphne`` in ``INSTALLED_APPS``."""

    def launch(*arguments: str) -> AbstractContextManager[Process]:
        variables = {
            "DJANGO_SETTINGS_MODULE": "runserver_settings",
            "MORE_APPS": "daphne",
            "PYTHONPATH": f"{HERE}:{tmp_path}",
        }
        (tmp_path / "changing.py").touch()
        return start([sys.executable, *arguments], "chain", environment=variables)

    return launch


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "django", "check"],
        ["-m", "django", "shell", "-c", "import project.asgi"],
        ["-c", "import project.asgi"],
    ],
    ids=" ".join,
)
def test_other_processes_start_nothing(program: Run, arguments: list[str]) -> None:
    """Although daphne's server is loaded, and an application is made."""
    with program(*arguments) as process:
        assert process.wait() == 0
        assert process.story() == []


def test_a_reactor_that_daphne_does_not_run_starts_nothing(program: Run) -> None:
    """A program runs it for a purpose of its own."""
    with program("-c", OTHER_REACTOR) as process:
        assert process.wait() == 0
        assert process.story() == ["reactor running"]


def test_without_daphnes_server_no_reactor_is_installed(program: Run, tmp_path: Path) -> None:
    """Twisted may be wanted for something else."""
    with start([sys.executable, "-c", NO_SERVER], "chain") as process:
        assert process.wait() == 0


def test_another_server_has_its_own_lifespan_alone(program: Run) -> None:
    """With ``daphne`` in ``INSTALLED_APPS``."""
    command = ["-m", "uvicorn", "project.asgi:application", "--host", HOST, "--port", "{port}"]
    with program(*command) as server:
        server.wait_until_serving()
        assert server.get("/async/").status == 200
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request answered", *STOPPED]


def test_without_adapters_daphne_is_alone(stock: Start) -> None:
    """``ASGI_LIFESPAN["ADAPTERS"]`` may be None. The log says that nothing was opened."""
    with stock("sockets", ADAPTERS="none") as server:
        server.wait_until_serving()
        assert server.get("/nothing/").status == 404
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == []
        assert "the server has not started the lifespan" in server.output()
