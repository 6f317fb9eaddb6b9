"""Starting gunicorn with the test project of the core."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from process.server import HOST, Process, start

Start = Callable[..., AbstractContextManager[Process]]

WORKERS = ("LifespanWorker", "NativeLifespanWorker")

CONFIGURATION = """
import atexit

def post_fork(server, worker):
    from project import journal
    atexit.register(journal.write, "hook", "atexit")

def worker_int(worker):
    from project import journal
    journal.write("hook", "worker_int")

def worker_exit(server, worker):
    from project import journal
    journal.write("hook", "worker_exit")
"""


@pytest.fixture(params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    """The name of the worker class."""
    return str(request.param)


@pytest.fixture
def gunicorn(tmp_path: Path, worker: str) -> Start:
    """Return what starts gunicorn with a worker class of ours and a Django app of the project.

    Its configuration file has hooks that write into the journal where ``hooks`` is true.
    """

    def launch(
        django_app: str, *options: str, asgi: str = "asgi", hooks: bool = False, **environment: str
    ) -> AbstractContextManager[Process]:
        configuration = tmp_path / "gunicorn.conf.py"
        configuration.write_text(CONFIGURATION if hooks else "")
        module = asgi if "." in asgi else f"project.{asgi}"
        command = [sys.executable, "-m", "gunicorn", f"{module}:application"]
        ours = worker in WORKERS
        command += ["--worker-class", f"django_asgi_lifespan_gunicorn.{worker}" if ours else worker]
        command += ["--bind", f"{HOST}:{{port}}", "--config", str(configuration)]
        command += ["--no-control-socket", *options]
        return start(tmp_path, command, django_app, environment)

    return launch
