"""The parent and the child of Django's autoreloader, around a server that a test wrote."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.utils import autoreload

from django_asgi_lifespan.adapters import reloader_child, stop_in_thread
from testkit.processes import Process, start

PROGRAM = """
import logging, os, signal, sys, threading
import django
from django.conf import settings
from django.utils.autoreload import autoreload_started
from django_asgi_lifespan.adapters import run_with_reloader
from testkit import gates, journal

settings.configure(ROOT_URLCONF="watched", LOGGING_CONFIG=None)
django.setup()
logging.basicConfig(level=logging.INFO)
import watched
told, closed = threading.Event(), threading.Event()

def serve(*, port):
    if "BUFFERS" in os.environ:
        journal.write("stdout", f"unbuffered {sys.stdout.write_through}")
    journal.write("server", "open" if port == 80 else f"open at {port}")
    told.wait()
    if "CLOSING" in os.environ:
        gates.block("server")
    journal.write("server", "closed")
    closed.set()

def stop():
    told.set()
    closed.wait()
    return int(os.environ.get("CODE", 0))

def fail(sender, **details):
    raise LookupError(os.environ["FAILURE"])

def tell(event, details):
    if event == "subprocess.Popen":
        journal.write("parent", "told")
        os.kill(os.getpid(), signal.SIGTERM)

if "TOLD" in os.environ and "RUN_MAIN" not in os.environ:
    sys.addaudithook(tell)
if "FAILURE" in os.environ:
    autoreload_started.connect(fail)
sys.platform = os.environ.get("PLATFORM", sys.platform)
run_with_reloader(serve, stop=stop, logger=logging.getLogger("server"), port=80)
"""

logger = logging.getLogger("tests")

Run = Callable[..., AbstractContextManager[Process]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that starts the program, which watches ``tmp_path / "watched.py"``."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "watched.py").write_text("urlpatterns = []\n")

    def launch(*flags: str, **environment: Any) -> AbstractContextManager[Process]:
        options = {"stderr": environment.pop("stderr")} if "stderr" in environment else {}
        return start(
            [sys.executable, *flags, "program.py"],
            cwd=tmp_path,
            environment=environment,
            **options,
        )

    return launch


pytestmark = [
    pytest.mark.process,
    pytest.mark.measured,
    pytest.mark.skipif(sys.platform == "win32", reason="sends the OS signals of POSIX"),
]


@pytest.mark.parametrize("who", ["parent", "group"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_every_os_signal_that_stops_a_process_closes_the_server(
    run: Run, name: str, who: str
) -> None:
    """The parent waits for the child, and no process is left."""
    with run() as program:
        program.wait_for("server open")
        (program.stop_group if who == "group" else program.stop)(name)
        assert program.wait() == 0
        assert program.story() == ["server open", "server closed"]


OLDER_THREAD = """
import os, signal, threading
from testkit import gates

def serve():
    if os.environ.get("RUN_MAIN", "") == os.environ["AGENT_IN"]:
        gates.block("agent")
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Event().wait()

threading.Thread(target=serve, daemon=True).start()
"""


@pytest.mark.parametrize("process", ["", "true"], ids=["parent", "child"])
def test_an_os_signal_may_arrive_in_an_older_thread(run: Run, tmp_path: Path, process: str) -> None:
    """It wakes the main thread from no system call."""
    (tmp_path / "sitecustomize.py").write_text(OLDER_THREAD)
    # Not measured: in a second thread, coverage may drop modules that the main thread is importing.
    environment = {"PYTHONPATH": str(tmp_path), "COVERAGE_PROCESS_CONFIG": ""}
    with run(AGENT_IN=process, **environment) as program:
        program.wait_for("agent blocked")
        program.wait_for("server open")
        program.release("agent")
        assert program.wait() == 0
        assert program.story()[-1] == "server closed"


def test_an_os_signal_while_the_child_is_started_ends_it(run: Run) -> None:
    """The parent has no child yet that it could tell, and tells it when it has."""
    with run(TOLD="1") as program:
        assert program.wait() == 0
        assert program.story() == ["parent told"]


def test_the_parent_leaves_ctrl_c_to_the_child_on_windows(run: Run) -> None:
    """There, the console sends it to both, and a terminated child closes nothing."""
    with run(PLATFORM="win32") as program:
        program.wait_for("server open")
        program.stop_group("SIGINT")
        assert program.wait() == 0
        assert program.story() == ["server open", "server closed"]


@pytest.mark.parametrize("flags", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_the_child_buffers_its_output_as_the_parent_does(run: Run, flags: tuple[str, ...]) -> None:
    """The parent's flags are not those of the child, but its output is."""
    with run(*flags, BUFFERS="1", PYTHONUNBUFFERED="") as program:
        program.wait_for("server open")
        assert f"stdout unbuffered {bool(flags)}" in program.story()
        program.stop("SIGTERM")
        assert program.wait() == 0


def test_the_exit_code_is_that_of_the_stop(run: Run) -> None:
    """A server that could not close everything says so."""
    with run(CODE="1") as program:
        program.wait_for("server open")
        program.stop("SIGTERM")
        assert program.wait() == 1


def test_a_changed_file_closes_the_server_before_the_next_one_begins(
    run: Run, tmp_path: Path
) -> None:
    """Even if the server could not close everything."""
    with run(CODE="1") as program:
        program.wait_for("server open")
        program.change(tmp_path / "watched.py", lambda: "changed, reloading" in program.output())
        program.wait_for("server open", times=2)
        program.stop("Ctrl+C")
        assert program.wait() == 1
        assert program.stories() == [["server open", "server closed"]] * 2


def test_a_failure_to_watch_closes_the_server(run: Run) -> None:
    """The traceback is shown: the code that fails may be the project's own."""
    with run(FAILURE="no such folder") as program:
        assert program.wait() == 1
        assert "LookupError: no such folder" in program.output()
        assert program.story() == ["server open", "server closed"]


def test_a_killed_parent_closes_the_server(run: Run) -> None:
    """No process is left to serve."""
    with run() as program:
        program.wait_for("server open")
        program.stop("SIGKILL")
        assert program.wait() == -signal.SIGKILL
        program.wait_for("server closed", alive=False)


@pytest.mark.parametrize("stderr", ["a file", "a pipe without a reader", "a full pipe"])
def test_a_later_ctrl_c_ends_a_child_that_closes(run: Run, stderr: str) -> None:
    """In any state of standard error."""
    read, write = os.pipe()
    with run(CLOSING="blocked", **({} if stderr == "a file" else {"stderr": write})) as program:
        program.wait_for("server open")
        if stderr == "a full pipe":
            os.set_blocking(write, False)
            os.write(write, b"x" * 2**20)
            os.set_blocking(write, True)
        os.close(write)
        if stderr == "a pipe without a reader":
            os.close(read)
        program.stop("Ctrl+C")
        program.wait_for("server blocked")

        def ends() -> bool:
            program.stop("Ctrl+C")
            return program.code is not None

        program.until(ends, "the end", alive=False)
        assert program.wait() == 1
        assert program.story() == ["server open", "server blocked"]
    if stderr != "a pipe without a reader":
        os.close(read)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that another thread runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_server_in_another_thread_is_stopped(loop: asyncio.AbstractEventLoop) -> None:
    """The main thread waits until everything is closed."""
    closed = threading.Event()

    def begin() -> None:
        loop.call_later(0.2, closed.set)

    assert stop_in_thread(loop.call_soon_threadsafe, begin, closed, logger)
    assert closed.is_set()


def test_a_server_whose_event_loop_is_closed_has_ended(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing can be called there any more."""
    closed = threading.Event()
    closed.set()
    loop.call_soon_threadsafe(loop.stop)
    while not loop.is_closed():
        with contextlib.suppress(RuntimeError):  # it runs
            loop.close()
    assert stop_in_thread(loop.call_soon_threadsafe, closed.clear, closed, logger)


def test_code_that_blocks_the_event_loop_is_not_waited_for(
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says why nothing was closed."""
    monkeypatch.setattr(reloader_child, "BLOCKED", 0.2)
    release = threading.Event()
    loop.call_soon_threadsafe(release.wait)
    try:
        assert not stop_in_thread(loop.call_soon_threadsafe, loop.stop, threading.Event(), logger)
    finally:
        release.set()
    assert caplog.messages == [
        (
            "Code blocks the event loop. The process ends without closing. Run such code in a "
            "thread. [lifespan-blocked]"
        )
    ]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (autoreload.restart_with_reloader, "subprocess.run(args, env=new_environ, close_fds="),
        (autoreload.restart_with_reloader, "{**os.environ, DJANGO_AUTORELOAD_ENV: "),
        (autoreload.restart_with_reloader, "args = get_child_arguments()"),
        (autoreload.restart_with_reloader, "if p.returncode != 3:"),
        (autoreload.run_with_reloader, 'os.environ.get(DJANGO_AUTORELOAD_ENV) == "true"'),
        (autoreload.run_with_reloader, "reloader = get_reloader()"),
        (autoreload.run_with_reloader, "logger.info("),
        (autoreload.run_with_reloader, "start_django(reloader, main_func, *args, **kwargs)"),
        (autoreload.start_django, "ensure_echo_on()"),
        (autoreload.start_django, "django_main_thread.start()"),
        (autoreload.trigger_reload, "sys.exit(3)"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_django_still_says_so(function: Any, text: str) -> None:
    """The private parts of the autoreloader are those that the module relies on."""
    assert text in inspect.getsource(function)
