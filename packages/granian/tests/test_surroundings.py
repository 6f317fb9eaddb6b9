"""granian's adapter at the moments, and in the surroundings, that were hard."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start
from testkit.stories import STARTED, STOPPED, TRACEBACK

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="sends the OS signals of POSIX"),
]

AGENT = """
import threading
threading.Thread(target=threading.Event().wait, name="agent", daemon=True).start()
"""
"""As ``opentelemetry-instrument`` or a debugger does before the program begins."""

BEFORE_THE_LIFESPAN = """
import os, signal
from project.asgi import application as django

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        os.kill(os.getpid(), signal.{signal})
    await django(scope, receive, send)
"""

STARLETTE = """
import contextlib
from starlette.applications import Starlette
from starlette.routing import Mount
from django_asgi_lifespan import run_lifespan
from django_asgi_lifespan.driver import LifespanDriver
from project.asgi import application as django

@contextlib.asynccontextmanager
async def lifespan(app):
    async with {lifespan}:
        yield

application = Starlette(routes=[Mount("/", django)], lifespan=lifespan)
"""

PRELOADED = """
import multiprocessing, sys
from project.asgi import application
from granian import Granian
from granian.constants import Interfaces

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[2])
    Granian(
        "project.asgi:application",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        workers_kill_timeout=4,
    ).serve()
    print("the program goes on")
"""

THREAD = """
import threading
from project.asgi import application

threading.Thread(target=threading.Event().wait, name="stuck").start()
"""

FORKING = """
import multiprocessing, os, runpy, threading
from testkit import journal

def note():
    journal.write("fork", f"beside {threading.active_count() - 1} threads")

if __name__ == "__main__":
    os.register_at_fork(before=note)
    multiprocessing.set_start_method("fork")
    runpy.run_module("django_asgi_lifespan_granian", run_name="__main__")
"""

WITH_CHILDREN = """
import asyncio, multiprocessing
from django_asgi_lifespan import resource
from project.asgi import application
from testkit import journal

def work(method):
    process = multiprocessing.get_context(method).Process(target=abs, args=(0,))
    process.start()
    process.join()
    journal.write(method, f"ended with {process.exitcode}")

@resource
async def children():
    await asyncio.to_thread(work, "spawn")
    work("fork")
    yield
"""

BLOCK = "from testkit import gates\ngates.block('import')\n"

MODULES = {
    "forking": FORKING,
    "with_children": WITH_CHILDREN,
    "agent_twin": AGENT
    + """
import runpy

if __name__ == "__main__":
    runpy.run_module("django_asgi_lifespan_granian", run_name="__main__")
""",
    "early_sigterm": BEFORE_THE_LIFESPAN.format(signal="SIGTERM"),
    "front_starlette": STARLETTE.format(lifespan="run_lifespan()"),
    "front_driver": STARLETTE.format(lifespan="LifespanDriver(django)"),
    "preloaded": PRELOADED,
    "with_thread": THREAD,
    "slow_import": f"{BLOCK}from project.asgi import application",
    "slow_rest": f"from project.asgi import application\n{BLOCK}",
    "spawned/sitecustomize": "import multiprocessing\nmultiprocessing.set_start_method('spawn')",
}

Serve = Callable[..., AbstractContextManager[Process]]
TWIN = "django_asgi_lifespan_granian"
SCRIPT = str(Path(sys.executable).with_name("granian"))


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Return a function that starts a module or a script, beside the modules of the tests."""
    (tmp_path / "spawned").mkdir()
    for name, content in MODULES.items():
        (tmp_path / f"{name}.py").write_text(content)

    def launch(
        *program: str, spawned: bool = False, **environment: str
    ) -> AbstractContextManager[Process]:
        folders = [str(tmp_path), *([str(tmp_path / "spawned")] if spawned else [])]
        return start(
            [sys.executable, *([] if Path(program[0]).is_absolute() else ["-m"]), *program],
            "chain",
            environment={"PYTHONPATH": os.pathsep.join(folders), **environment},
        )

    return launch


def options(application: str = "project.asgi") -> list[str]:
    """Return the options of granian that serve *application*."""
    return [f"{application}:application", "--interface", "asgi", "--host", HOST, "--port", "{port}"]


@pytest.mark.parametrize("spawned", [False, True])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_the_parent_hears_os_signals_beside_older_threads(
    serve: Serve, name: str, *, spawned: bool
) -> None:
    """Any of them may get an OS signal, which ends no wait of the main thread then."""
    with serve("agent_twin", *options(), spawned=spawned) as server:
        server.wait_until_serving()
        server.stop("SIGHUP")
        server.wait_for("search open", times=2)
        server.wait_for("pool closed")
        server.stop(name)
        assert server.wait() == 0
        assert server.lifespans() == [[*STARTED, *STOPPED]] * 2


def test_the_parent_never_waits_for_itself(serve: Serve) -> None:
    """Granian's handlers take a lock, so that one that interrupts the other would not end."""
    with serve(TWIN, *options(), "--workers", "2") as server:
        server.wait_for("search open", times=2)
        for number in (signal.SIGTERM, signal.SIGINT) * 500:
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.pid, number)
        assert server.wait() == 0
        assert server.lifespans() == [[*STARTED, *STOPPED]] * 2


def test_one_worker_is_forked_before_any_thread_begins(serve: Serve) -> None:
    """A lock that another thread holds at the fork would be locked in the worker for ever."""
    with serve("forking", *options(), PYTHONDEVMODE="1") as server:
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == ["fork beside 0 threads", *STARTED, *STOPPED]
        # Python 3.13 counts the threads after the fork, when there is one.
        assert sys.version_info >= (3, 13) or "may lead to deadlocks" not in server.output()


def test_a_worker_may_start_processes_of_its_own(serve: Serve) -> None:
    """In any thread, and it keeps its own handlers of OS signals."""
    with serve("forking", *options("with_children")) as server:
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story().count("spawn ended with 0") == 1
        assert server.story().count("fork ended with 0") == 1
        assert server.story()[-1] == "pool closed"
        assert "ValueError" not in server.output()


@pytest.mark.parametrize("workers", [1, 2])
def test_startups_that_fail_in_turn_end_the_command(serve: Serve, workers: int) -> None:
    """Granian's own rule forgets the other workers, and starts them again and again."""
    respawn = ("--respawn-failed-workers", "--workers", f"{workers}")
    with serve(TWIN, *options(), *respawn, CACHE_OPENING="fail") as server:
        assert server.wait() == 3
        assert len(server.pids()) <= 2 * workers + 1


@pytest.mark.parametrize("module", ["granian", TWIN])
def test_a_sigterm_just_before_the_lifespan_is_not_lost(serve: Serve, module: str) -> None:
    """It waits in the event loop while the handlers change. granian counts the end as a failure."""
    with serve(module, *options("early_sigterm")) as server:
        server.wait()
        assert "pool open" not in server.story() or server.story()[-1] == "pool closed"


@pytest.mark.parametrize("module", ["granian", TWIN])
@pytest.mark.parametrize("front", ["front_starlette", "front_driver"])
def test_the_adapter_is_on_behind_applications(serve: Serve, module: str, front: str) -> None:
    """Requests are given up in time, and the resources close before granian kills the worker."""
    with serve(module, *options(front), "--workers-kill-timeout", "4") as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert "Giving up requests in flight: 1." in server.output()
        closed = "stream closed with search in cache of pool"
        assert server.story() == [*STARTED, "stream open", closed, *STOPPED]


@pytest.mark.parametrize("program", ["granian", SCRIPT, TWIN, "agent_twin"])
def test_a_spawned_worker_knows_its_limit(serve: Serve, program: str) -> None:
    """Granian, which spawns its workers from Python 3.14 on, does not tell them."""
    kill = ("--workers-kill-timeout", "4s")
    with serve(program, *options(), *kill, spawned=True) as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        closed = "stream closed with search in cache of pool"
        assert server.story() == [*STARTED, "stream open", closed, *STOPPED]


@pytest.mark.parametrize(
    ("method", "environment"), [("fork", {}), ("spawn", {"GRANIAN_WORKERS_KILL_TIMEOUT": "4"})]
)
def test_a_program_that_imported_the_application_before(
    serve: Serve, method: str, environment: dict[str, str]
) -> None:
    """The adapter is on in its workers, which have that limit. The program goes on afterwards.

    A spawned worker reads the limit from the environment alone.
    """
    with serve("preloaded", "{port}", method, **environment) as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        closed = "stream closed with search in cache of pool"
        assert server.story() == [*STARTED, "stream open", closed, *STOPPED]
        assert "the program goes on" in server.output()
        assert "Killing worker" not in server.output()


def test_half_a_request_keeps_nothing_open(serve: Serve) -> None:
    """Granian waits for its end, and knows of no request."""
    with serve(TWIN, *options(), "--workers-kill-timeout", "5") as server:
        server.wait_until_serving()
        with server.address.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert server.get("/async/").status == 200
            server.stop("SIGTERM")
            server.wait_for("pool closed")
            server.wait()
        assert server.lifespans() == [[*STARTED, *STOPPED]]


def test_sigquit_stops_a_worker_and_the_group(serve: Serve) -> None:
    """Its parent dies of it, and the worker closes everything."""
    with serve(TWIN, *options()) as server:
        server.wait_until_serving()
        server.stop_group("SIGQUIT")
        assert server.wait() == -signal.SIGQUIT
        server.wait_for("pool closed", alive=False)
        assert server.lifespans() == [[*STARTED, *STOPPED]]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("application", ["project.asgi", "with_thread"])
def test_a_failed_startup_ends_the_command_with_3(
    serve: Serve, application: str, workers: str
) -> None:
    """Whether a thread is left or not."""
    with serve(TWIN, *options(application), "--workers", workers, CACHE_OPENING="fail") as server:
        assert server.wait() == 3
        assert "cache failed to start: RuntimeError: cache failed in opening" in server.output()


@pytest.mark.parametrize("application", ["project.asgi", "with_thread"])
def test_a_failed_shutdown_ends_the_command_with_1(serve: Serve, application: str) -> None:
    """Whether a thread is left or not."""
    with serve(TWIN, *options(application), CACHE_CLOSING="fail") as server:
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 1
        assert server.story()[-1] == "pool closed"


def test_an_orderly_stop_beside_a_thread(serve: Serve) -> None:
    """The process ends without the thread, and says so."""
    with serve(TWIN, *options("with_thread")) as server:
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 1
        assert server.story() == [*STARTED, *STOPPED]
        assert "The process ends without its threads, which go on: stuck" in server.output()


@pytest.mark.parametrize(("module", "interval"), [("granian", "3"), (TWIN, "3"), (TWIN, "0.1")])
def test_a_stop_while_workers_are_replaced(serve: Serve, module: str, interval: str) -> None:
    """A worker that is forked while the parent is told to stop is not told itself."""
    with serve(module, *options(), "--workers", "2", "--respawn-interval", interval) as server:
        server.wait_until_serving()
        server.wait_for("search open", times=2)
        server.stop("SIGHUP")
        server.wait_for("search open", times=3)
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert [story[-1] for story in server.lifespans()] == ["pool closed"] * len(server.pids())


@pytest.mark.parametrize("spawned", [False, True])
@pytest.mark.parametrize(
    ("module", "application"), [(TWIN, "slow_import"), ("granian", "slow_rest")]
)
def test_an_os_signal_during_the_import_in_a_worker(
    serve: Serve, module: str, application: str, *, spawned: bool
) -> None:
    """Nothing is open yet, and nothing is opened. granian's own command hears of it too late."""
    with serve(module, *options(application), spawned=spawned) as server:
        server.wait_for("import blocked")
        server.stop("Ctrl+C")
        server.wait_for_output("Shutting down granian")
        server.release("import")
        assert server.wait() == 0
        assert server.story() == ["import blocked"]
        assert TRACEBACK not in server.output()
