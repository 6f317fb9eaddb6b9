"""Starting gunicorn with the test project of the core."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start

Start = Callable[..., AbstractContextManager[Process]]

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
def gunicorn(tmp_path: Path, worker: str) -> Start:
    """Return what starts gunicorn with a worker class of ours and a Django app of the project.

    Without a name of a class it is left to the configuration.
    """

    def launch(
        django_app: str,
        *options: str,
        asgi: str = "asgi",
        configuration: str = "",
        **environment: str,
    ) -> AbstractContextManager[Process]:
        file = tmp_path / "gunicorn.conf.py"
        file.write_text(configuration)
        module = asgi if "." in asgi else f"project.{asgi}"
        command = [sys.executable, "-m", "gunicorn", f"{module}:application"]
        command += ["--config", str(file), "--bind", f"{HOST}:{{port}}", "--no-control-socket"]
        if worker:
            ours = worker in WORKERS
            name = f"django_asgi_lifespan_gunicorn.{worker}" if ours else worker
            command += ["--worker-class", name]
        command += options
        return start(command, django_app, environment=environment)

    return launch
