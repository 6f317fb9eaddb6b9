"""The modules that the worker classes rely on, and the error where one is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import GracefulTimeout
from gunicorn.workers.base import Worker

import django_asgi_lifespan_gunicorn
from django_asgi_lifespan.adapters import Deadlines
from django_asgi_lifespan_gunicorn import LifespanWorker, NativeLifespanWorker
from django_asgi_lifespan_gunicorn.stop import IMPATIENCE
from django_asgi_lifespan_gunicorn.worker import LifespanWorkerBase, _token

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork()")


def test_the_package_offers_what_it_says() -> None:
    """Its worker classes, in the order of the alphabet, and no other name."""
    for name in django_asgi_lifespan_gunicorn.__all__:
        assert getattr(django_asgi_lifespan_gunicorn, name).__name__ == name
    assert sorted(django_asgi_lifespan_gunicorn.__all__) == [*django_asgi_lifespan_gunicorn.__all__]
    with pytest.raises(AttributeError, match="no attribute 'Lifespan'"):
        _ = django_asgi_lifespan_gunicorn.Lifespan


def run(program: str) -> str:
    """Return the output of a fresh Python."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_uvicorn_is_only_imported_for_its_worker_class() -> None:
    """And gunicorn's own ASGI worker only for the other one."""
    program = (
        "import sys, django_asgi_lifespan_gunicorn as package\n"
        "package.{}\n"
        "print({!r} in sys.modules)"
    )
    assert run(program.format("NativeLifespanWorker", "uvicorn")) == "False"
    assert run(program.format("LifespanWorker", "gunicorn.workers.gasgi")) == "False"


@pytest.mark.parametrize(
    ("worker", "need", "remedy"),
    [
        (
            "LifespanWorker",
            "uvicorn_worker",
            'pip install "django-asgi-lifespan-gunicorn[uvicorn]>=1"',
        ),
        ("NativeLifespanWorker", "gunicorn.workers.gasgi", 'pip install "gunicorn>=25"'),
    ],
)
def test_what_is_missing_is_said_with_the_remedy(worker: str, need: str, remedy: str) -> None:
    """uvicorn-worker may not be installed, gunicorn may be an old one."""
    program = (
        f"import sys; sys.modules[{need!r}] = None\n"
        f"try: from django_asgi_lifespan_gunicorn import {worker}\n"
        "except ImportError as error: print(error)"
    )
    assert remedy in run(program)


@pytest.mark.parametrize("worker", [LifespanWorker, NativeLifespanWorker])
def test_nothing_of_gunicorn_stands_before_the_overridden_methods(worker: type[Worker]) -> None:
    """No other base class overrides the methods of the shared class."""
    for name in ("_serve", "alive", "handle_exit", "handle_quit", "init_signals", "notify", "run"):
        [first] = [c for c in worker.__mro__ if name in vars(c)][:1]
        assert first.__name__ == "LifespanWorkerBase", name


# pytest's faulthandler has a thread of its own, and the child does nothing but read.
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_one_process_is_the_first_to_fail() -> None:
    """It is the one that reads the byte of the token first, in the parent or in a child."""
    token = _token()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, os.read(token, 1) or b"none")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 4) == b"x"
    assert not os.read(token, 1)
    os.close(reader)
    os.close(writer)


def test_the_readme_has_the_figures_of_the_code() -> None:
    """With gunicorn's default graceful timeout. Its example of a configuration file runs."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    share, quick_timeout = LifespanWorker.drain_share, LifespanWorker.quick_timeout
    deadlines = Deadlines.before_kill(GracefulTimeout.default, share=share)
    deadlines.begin(0)
    assert f"`graceful_timeout` ({GracefulTimeout.default} s)" in readme
    assert f"N is {share * 100:.0f} % of it: {deadlines.abandon_at:.0f} s." in readme
    assert f"has {deadlines.cut_at - deadlines.abandon_at:.0f} s at least" in readme
    assert f"N is {quick_timeout:.0f} at SIGINT and SIGQUIT" in readme
    assert f"kills in {IMPATIENCE:.0f} s" in readme
    for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
        names: dict[str, Any] = {}
        exec(block, names)
        worker = names["worker_class"]
        if isinstance(worker, str):
            worker = getattr(django_asgi_lifespan_gunicorn, worker.rpartition(".")[2])
        assert issubclass(worker, LifespanWorker)
        changed = {name for name in vars(worker) if not name.startswith("_")}
        assert changed <= vars(LifespanWorker).keys() | vars(LifespanWorkerBase).keys()
