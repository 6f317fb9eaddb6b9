"""The begin and the end of a process of ours where threads, pipes and timing make it hard."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK

from .conftest import CANCELS_QUIETLY, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="sends the OS signals of POSIX"),
]

MODULE = [sys.executable, "-m", "django_asgi_lifespan_uvicorn"]
SCRIPT = [str(Path(sys.executable).parent / "uvicorn-lifespan")]
OPTIONS = ["--host", HOST, "--port", "{port}"]

LEFT_BEHIND = """
import os, threading
from django_asgi_lifespan import resource
from testkit import journal

@resource
async def connection():
    threading.Thread(target=threading.Event().wait, name="connection").start()
    if os.environ["FAILS"] == "startup":
        raise OSError("no connection")
    journal.write("connection", "open")
    yield
    if os.environ["FAILS"] == "shutdown":
        raise OSError("connection lost")
"""

Leave = Callable[..., AbstractContextManager[Process]]


@pytest.fixture
def leave(tmp_path: Path) -> Leave:
    """Return a function that starts a project whose resource leaves a thread behind."""
    app = tmp_path / "changing"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "lifespan.py").write_text(LEFT_BEHIND)
    (app / "urls.py").write_text("urlpatterns = []\n")

    def launch(*command: str, fails: str) -> AbstractContextManager[Process]:
        variables = {
            "DJANGO_APP": "project.bare",
            "DJANGO_SETTINGS_MODULE": "runserver_settings",
            "FAILS": fails,
            "MORE_APPS": "django_asgi_lifespan_uvicorn",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(tmp_path)]),
        }
        return start([sys.executable, "-m", *command], environment=variables)

    return launch


TWIN = ["django_asgi_lifespan_uvicorn", "project.asgi:application", *OPTIONS]
COMMANDS = {
    "command": TWIN,
    "workers": [*TWIN, "--workers", "2"],
    "runserver": ["django", "runserver", "{port}", "--noreload"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_failed_startup_ends_with_3_despite_its_threads(leave: Leave, command: str) -> None:
    """The log names them."""
    with leave(*COMMANDS[command], fails="startup") as server:
        assert server.wait() == 3
        assert "OSError: no connection" in server.output()


@pytest.mark.parametrize("command", [*COMMANDS, "reloader"])
def test_a_failed_shutdown_ends_with_1_despite_its_threads(leave: Leave, command: str) -> None:
    """Under the reloader, too."""
    options = COMMANDS[command] if command in COMMANDS else COMMANDS["runserver"][:-1]
    with leave(*options, fails="shutdown") as server:
        server.wait_for("connection open", times=2 if command == "workers" else 1)
        server.stop("SIGTERM")
        assert server.wait() == 1
        assert "OSError: connection lost" in server.output()


def test_an_import_that_fails_ends_with_3_despite_its_threads(tmp_path: Path) -> None:
    """Such as the thread of a client that was made before."""
    (tmp_path / "broken.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\nno_such_name\n"
    )
    command = [*MODULE, "broken:application", *OPTIONS]
    with start(command, "chain", environment={"PYTHONPATH": str(tmp_path)}) as server:
        assert server.wait() == 3
        assert "The application cannot be loaded." in server.output()


def can_be_the_first_process() -> bool:
    """Return whether a process can be started as that of a container."""
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and not subprocess.run(
            [unshare, "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False
        ).returncode
    )


IN_A_CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

SLOW_IMPORT = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "uvicorn":
            from testkit import gates
            sys.meta_path.remove(self)
            gates.block("import")

sys.meta_path.insert(0, Finder())
"""
"""The import of uvicorn, which takes as long as the test likes."""


@pytest.mark.skipif(not can_be_the_first_process(), reason="needs unshare and its permissions")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("moment", ["uvicorn", "project"])
@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_the_first_process_of_a_container_ends_while_it_imports(
    command: list[str], moment: str, name: str, tmp_path: Path
) -> None:
    """The kernel discards an OS signal that such a process does not handle."""
    if moment == "uvicorn":
        (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT)
    asgi = "slow_asgi" if moment == "project" else "asgi"
    words = [*IN_A_CONTAINER, *command, f"project.{asgi}:application", *OPTIONS]
    with start(words, "chain", environment={"PYTHONPATH": str(tmp_path)}) as server:
        server.wait_for("import blocked")
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
        os.kill(int(children.split()[0]), signal.Signals[name])
        assert server.wait() == 0
        assert server.story() == ["import blocked"]
        assert TRACEBACK not in server.output()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_during_the_import_ends_with_0(command: Start, name: str) -> None:
    """There is nothing to close, and further OS signals do not cut the end short."""
    with command("chain", "--loop", "uvloop", asgi="slow_asgi", PYTHONDEVMODE="1") as server:
        server.wait_for("import blocked")

        def ends() -> bool:
            server.stop(name)
            return server.code is not None

        server.until(ends, "the end", alive=False)
        assert server.wait() == 0
        assert server.output() == ""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_right_after_the_import_leaves_no_coroutine(
    command: Start, name: str, tmp_path: Path
) -> None:
    """An OS signal in the first line of the event loop's own factory, before uvicorn handles it."""
    (tmp_path / "loops.py").write_text(
        f"import os, signal\nimport asyncio\n"
        f"def factory():\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
        f"    return asyncio.new_event_loop()\n"
    )
    with command(
        "chain", "--loop", "loops:factory", PYTHONDEVMODE="1", PYTHONPATH=str(tmp_path)
    ) as server:
        assert server.wait() == 0
        assert server.story() == []
        assert "never awaited" not in server.output()


def test_a_missing_certificate_is_named(command: Start) -> None:
    """It is not the application that cannot be loaded."""
    with command("chain", "--ssl-certfile", "nowhere.pem") as server:
        assert server.wait() == 3
        assert "ERROR:    The server cannot be configured." in server.output()
        assert "FileNotFoundError" in server.output()


def test_requests_right_after_the_os_signal_end_in_time(command: Start) -> None:
    """The server accepts them for up to a tenth of a second."""
    with command("chain", "--timeout-graceful-shutdown", "2") as server:
        server.wait_until_serving()
        server.stop("SIGTERM")
        for _ in range(10):
            try:
                server.send("/stream/?deaf")
            except OSError:
                break
        assert server.wait() == 0
        story = server.story()
        assert [each for each in story if "stream" not in each] == [*STARTED, *STOPPED]
        closed = "stream closed with search in cache of pool"
        assert story.count("stream open") == story.count(closed)
        output = server.output()
        assert " 500 " not in output
        # On a slow machine some requests are still ending at the limit, where they are cancelled.
        cancelled = output.count("\nasyncio.exceptions.CancelledError")
        assert output.count(TRACEBACK) == cancelled or not CANCELS_QUIETLY


def test_a_client_that_does_not_read_does_not_hold_up_a_late_ctrl_c(stock: Start) -> None:
    """Its request has ended, so that only the connection is left."""
    with stock("chain") as server:
        server.wait_until_serving()
        connection = server.address.connect()
        connection.sendall(
            b"POST /async/ HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nContent-Length: 9\\r\\n\\r\\n"
        )
        server.stop("SIGTERM")

        def is_over() -> bool:
            server.stop("Ctrl+C")
            return "Application shutdown complete." in server.output()

        server.until(is_over, "the end", alive=False)
        assert server.wait() in (0, -signal.SIGTERM)
        connection.close()
        assert server.lifespans() == [[*STARTED, *STOPPED]]


@pytest.mark.parametrize("stdout", ["closed", "a pipe without a reader"])
def test_a_stuck_thread_ends_whatever_has_become_of_stdout(stdout: str) -> None:
    """As of a ``tee`` that Ctrl+C has ended, too."""
    read, write = os.pipe()
    script = "exec 1>&-; exec " if stdout == "closed" else "exec "
    words = [*MODULE, "project.asgi:application", *OPTIONS, "--timeout-graceful-shutdown", "1"]
    command = ["sh", "-c", script + '"$0" "$@"', *words]
    with start(command, "chain", stdout=write) as server:
        os.close(write)
        server.wait_until_serving()
        server.send("/stuck/")
        server.wait_for("request stuck")
        os.close(read)
        server.stop("SIGINT")
        assert server.wait() == 1
        assert server.story() == [*STARTED, "request stuck", *STOPPED]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_stdout_may_be_closed(workers: str) -> None:
    """In the workers, too, and with each event loop."""
    words = [*MODULE, "project.asgi:application", *OPTIONS, "--workers", workers]
    with start(["sh", "-c", 'exec 1>&-; exec "$0" "$@"', *words], "chain") as server:
        server.wait_for("search open", times=int(workers))
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.lifespans() == [[*STARTED, *STOPPED]] * int(workers)
        assert TRACEBACK not in server.output()
