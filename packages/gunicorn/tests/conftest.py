"""Starting gunicorn with the test project of the core."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit import servers
from testkit.processes import Process
from testkit.servers import Start

WORKERS = ("LifespanWorker", "NativeLifespanWorker")

HOOKS = """
import atexit

def post_fork(server, worker):
    from testkit import journal
    atexit.register(journal.write, "hook", "atexit")

def worker_int(worker):
    from testkit import journal
    journal.write("hook", "worker_int")

def worker_exit(server, worker):
    from testkit import journal
    journal.write("hook", "worker_exit")
"""


@pytest.fixture(params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    """The name of the worker class."""
    return str(request.param)


@pytest.fixture
def surrounded(tmp_path: Path, gunicorn: Start) -> Start:
    """Return a function that starts gunicorn with an ASGI module of the test's own.

    The module has everything of the project's own, and ``journal`` and ``gates``.
    """

    def launch(
        source: str, *options: str, name: str = "application", app: str = "chain", **settings: str
    ) -> AbstractContextManager[Process]:
        (tmp_path / "surroundings").mkdir()
        file = tmp_path / "surroundings" / "asgi.py"
        file.write_text(f"from project.asgi import *\nfrom testkit import gates, journal\n{source}")
        asgi = f"surroundings.asgi:{name}"
        return gunicorn(app, *options, asgi=asgi, PYTHONPATH=str(tmp_path), **settings)

    return launch


@pytest.fixture
def gunicorn(tmp_path: Path, worker: str) -> Start:
    """Return a function that starts gunicorn with a worker class and a Django app of ours.

    Without a name of a class it is left to the configuration.
    """

    def launch(
        django_app: str, *options: str, configuration: str = "", **keywords: str
    ) -> AbstractContextManager[Process]:
        file = tmp_path / "gunicorn.conf.py"
        file.write_text(configuration)
        starter = servers.gunicorn(worker, "--config", str(file))
        return starter(django_app, *options, **keywords)

    return launch
