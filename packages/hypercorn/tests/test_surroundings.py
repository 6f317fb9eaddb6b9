"""hypercorn's adapter among the applications, programs and threads that people put around it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process, start
from testkit.stories import STARTED, STOPPED, held

from .conftest import STOCK, TWIN

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such OS signals"),
]

Run = Callable[..., AbstractContextManager[Process]]

PARENT = """
import contextlib
from starlette.applications import Starlette
from starlette.routing import Mount
from django_asgi_lifespan import run_lifespan
from django_asgi_lifespan.driver import LifespanDriver
from project.asgi import application as django

@contextlib.asynccontextmanager
async def lifespan(app):
    async with {manager} as state:
        yield state

application = Starlette(routes=[Mount("/", django)], lifespan=lifespan)
"""
FRONTS = {
    "DispatcherMiddleware": """
from hypercorn.middleware import DispatcherMiddleware
from project.asgi import application as django
application = DispatcherMiddleware({"/shop": django})
""",
    "ProxyFixMiddleware": """
from hypercorn.middleware import ProxyFixMiddleware
from project.asgi import application as django
application = ProxyFixMiddleware(django)
""",
    "function": """
from project.asgi import application as django

async def application(scope, receive, send):
    async def noted_receive():
        return await receive()
    await django(scope, noted_receive, send)
""",
    "Starlette, run_lifespan()": PARENT.replace("{manager}", "run_lifespan()"),
    "Starlette, LifespanDriver": PARENT.replace("{manager}", "LifespanDriver(django)"),
}
PROGRAM = """
import asyncio, os, signal
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.run import run
from testkit import gates, journal
from project.asgi import application

def configure(port=os.environ["PORT"]):
    config = Config()
    config.application_path = "project.asgi:application"
    config.bind = [f"127.0.0.1:{port}"]
    config.workers = 0
    return config

def ask(task=None):
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    journal.write("handlers", str([signal.getsignal(each) == signal.SIG_DFL for each in numbers]))
"""
SERVE = """
async def main():
    server = asyncio.create_task(serve(application, configure(), shutdown_trigger={trigger}))
    await gates.hold("program")
    {stop}
    await asyncio.wait([server])
    ask()
    await asyncio.to_thread(gates.block, "thread")
asyncio.run(main())
journal.write("program", "ended")
"""
PROGRAMS = {
    "cancelled": SERVE.format(trigger="asyncio.Event().wait", stop="server.cancel()"),
    "told": "stop = asyncio.Event()" + SERVE.format(trigger="stop.wait", stop="stop.set()"),
}


@pytest.fixture
def serve(tmp_path: Path) -> Run:
    """Return a function that starts hypercorn with a module as its application."""

    def launch(
        text: str, *options: str, module: str = STOCK, app: str = "chain", **environment: str
    ) -> AbstractContextManager[Process]:
        (tmp_path / "front.py").write_text(text)
        command = [sys.executable, "-m", module, "front:application"]
        command += ["--bind", f"{HOST}:{{port}}", *options]
        environment["PYTHONPATH"] = str(tmp_path)
        return start(command, app, environment=environment)

    return launch


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that starts a program."""

    def launch(text: str) -> AbstractContextManager[Process]:
        (tmp_path / "program.py").write_text(text)
        command = [sys.executable, "-c", "import os, sys; os.environ['PORT'] = sys.argv[1]"]
        command[-1] += "; import program"
        command.append("{port}")
        return start(command, "chain", environment={"PYTHONPATH": str(tmp_path)})

    return launch


@pytest.mark.parametrize("front", FRONTS)
def test_worker_behind_another_application_stops_in_order(serve: Run, front: str) -> None:
    """It closes at SIGTERM to itself alone, another one starts, and both close at the end."""
    with serve(FRONTS[front]) as server:
        server.wait_until_serving()
        path = "/shop/async/" if front == "DispatcherMiddleware" else "/async/"
        assert server.get(path).status == 200
        server.stop_worker("SIGTERM")
        server.wait_for("search open", times=2)
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.lifespans()[0] == [*STARTED, *STOPPED]
        assert server.lifespans()[1][-1] == "pool closed"
        assert "Traceback" not in server.output()


@pytest.mark.parametrize("front", FRONTS)
def test_worker_behind_another_application_ends_with_its_parent(serve: Run, front: str) -> None:
    """Nobody else can stop it."""
    with serve(FRONTS[front]) as server:
        server.wait_until_serving()
        server.stop("SIGKILL")
        server.wait_for("pool closed", alive=False)


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("front", FRONTS)
def test_failed_startup_behind_another_application_ends_with_3(
    serve: Run, front: str, workers: str
) -> None:
    """Soon, and with the reason in the log."""
    options = ("--workers", workers)
    with serve(FRONTS[front], *options, module=TWIN, CACHE_OPENING="fail") as server:
        assert server.wait() == 3
        assert server.story() == [*STARTED[:3], *STOPPED[4:]]
        assert "cache failed in opening" in server.output()


@pytest.mark.parametrize("front", FRONTS)
def test_failed_shutdown_behind_another_application_ends_with_1(serve: Run, front: str) -> None:
    """Although ``DispatcherMiddleware`` does not pass on that it failed."""
    with serve(FRONTS[front], module=TWIN, CACHE_CLOSING="fail") as server:
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 1
        assert server.story()[-1] == "pool closed"
        assert "cache failed in closing" in server.output()


@pytest.mark.parametrize("front", FRONTS)
def test_ctrl_c_interrupts_a_startup_behind_another_application(serve: Run, front: str) -> None:
    """The log names the resource that was pending, and blames nobody."""
    with serve(FRONTS[front], module=TWIN, CACHE_OPENING="held") as server:
        server.wait_for("cache held")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        story = [*held(STARTED[:3], at="cache opening"), "cache cancelled", *STOPPED[4:]]
        assert server.story() == story
        assert "The startup is interrupted, waiting for: cache" in server.output()
        assert "Traceback" not in server.output()


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_twin_hears_os_signals_beside_an_older_thread(
    serve: Run, tmp_path: Path, stop: str
) -> None:
    """The system may give them to that one, which ends no wait of the main thread."""
    agent = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    (tmp_path / "sitecustomize.py").write_text(agent)
    with serve("from project.asgi import application", module=TWIN) as server:
        server.wait_until_serving()
        server.stop(stop)
        if stop == "SIGHUP":
            server.wait_for("search open", times=2)
            server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.lifespans() == [[*STARTED, *STOPPED]] * (2 if stop == "SIGHUP" else 1)


def test_startup_that_is_tried_again_by_the_application_in_front(serve: Run) -> None:
    """A failed first attempt neither ends hypercorn nor takes the stop away."""
    text = PARENT.replace("{manager}", "contextlib.AsyncExitStack()").replace(
        "        yield state\n",
        "        for attempt in range(2):\n"
        "            try:\n"
        "                yield await state.enter_async_context(run_lifespan())\n"
        "            except Exception:\n"
        "                os.environ['CACHE_OPENING'] = ''\n",
    )
    with serve("import os\n" + text, module=TWIN, CACHE_OPENING="fail") as server:
        server.wait_until_serving()
        assert server.get("/async/").status == 200
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story()[-6:] == STOPPED


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_that_calls_serve_goes_on(run: Run, program: str) -> None:
    """Its OS signals are its own, and nothing ends it: the adapter did not act."""
    with run(PROGRAM + PROGRAMS[program]) as server:
        server.wait_until_serving()
        server.release("program")
        server.wait_for("thread blocked")
        assert server.story()[-3:] == [
            "pool closed",
            "handlers [True, True, True]",
            "thread blocked",
        ]
        # The adapter would end the process now, five seconds after the lifespan.
        server.pass_time(6)
        server.release("thread")
        assert server.wait() == 0
        assert server.story()[-1] == "program ended"


def test_program_that_calls_run_goes_on(run: Run) -> None:
    """With --workers 0 it serves in the program's own process."""
    text = 'run(configure())\nask()\ngates.block("program")\n'
    with run(PROGRAM + text) as server:
        server.wait_until_serving()
        server.stop("SIGINT")
        server.wait_for("program blocked")
        server.pass_time(6)
        server.release("program")
        assert server.wait() == 0


def test_child_of_a_program_that_calls_run_goes_on(run: Run) -> None:
    """A process of ``multiprocessing`` is hypercorn's only if hypercorn has started it."""
    text = """
import multiprocessing

def child():
    run(configure())
    ask()
    gates.block("child")
    journal.write("child", "ended")

if os.environ.get("IS_CHILD") is None:
    os.environ["IS_CHILD"] = "1"
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
"""
    with run(PROGRAM + text) as server:
        server.wait_until_serving()
        server.stop_worker("SIGTERM")
        server.wait_for("child blocked")
        server.pass_time(6)
        server.release("child")
        assert server.wait() == 0
        assert server.story()[-1] == "child ended"


def test_two_servers_of_a_program_in_one_event_loop_go_on(run: Run) -> None:
    """The end of one is not the end of the other."""
    text = """
async def main():
    first, second = asyncio.Event(), asyncio.Event()
    servers = [
        asyncio.create_task(serve(application, configure(), shutdown_trigger=first.wait)),
        asyncio.create_task(serve(application, configure(0), shutdown_trigger=second.wait)),
    ]
    await gates.hold("program")
    first.set()
    await servers[0]
    ask()
    await gates.hold("second")
    second.set()
    await servers[1]
asyncio.run(main())
"""
    with run(PROGRAM + text) as server:
        server.wait_for("search open", times=2)
        server.release("program")
        server.wait_for("second held")
        assert server.story().count("pool closed") == 1
        server.release("second")
        assert server.wait() == 0
        assert server.story().count("pool closed") == 2


def test_server_that_a_resource_runs_is_the_projects_own(serve: Run) -> None:
    """The stop of the worker lets the resource stop it."""
    text = """
import asyncio
from hypercorn.asyncio import serve
from hypercorn.config import Config
from django_asgi_lifespan import resource
from testkit import journal
from project.asgi import application
from project.chain.lifespan import search

async def metrics(scope, receive, send):
    message = await receive()
    journal.write("metrics", message["type"])
    await send({"type": "lifespan.startup.complete"})
    message = await receive()
    journal.write("metrics", message["type"])
    await send({"type": "lifespan.shutdown.complete"})

@resource(requires=[search])
async def metrics_server():
    config, stop = Config(), asyncio.Event()
    config.bind = ["127.0.0.1:0"]
    server = asyncio.create_task(serve(metrics, config, shutdown_trigger=stop.wait))
    yield
    journal.write("metrics", "told")
    stop.set()
    await server
"""
    with serve(text) as server:
        server.wait_for("metrics lifespan.startup")
        server.wait_until_serving()
        server.stop_worker("SIGTERM")
        server.wait_for("metrics lifespan.startup", times=2)
        server.stop("SIGTERM")
        assert server.wait() == 0
        story = server.stories()[0]
        end = ["metrics told", "metrics lifespan.shutdown", *STOPPED]
        assert story == [*STARTED, "metrics lifespan.startup", *end]


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("place", ["resource", "module"])
def test_handler_of_the_project_is_no_end_of_the_orderly_stop(
    serve: Run, workers: str, place: str
) -> None:
    """A worker of which the project handles SIGTERM stops when hypercorn says so."""
    text = """
import signal
from django_asgi_lifespan import resource
from testkit import journal
from project.asgi import application

def handle():
    signal.signal(signal.SIGTERM, lambda *_: journal.write("handler", "called"))

@resource
async def handler():
    {resource}
    yield
{module}
"""
    places = {"resource": "pass", "module": ""} | {place: "handle()"}
    with serve(text.format(**places), "--workers", workers, module=TWIN) as server:
        server.wait_until_serving()
        if workers == "1":
            server.stop_worker("SIGTERM")
            server.wait_for("handler called")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story()[-6:] == STOPPED


THREAD = """
import threading
from django_asgi_lifespan import resource
from project.asgi import application

@resource
async def thread():
    threading.Thread(target=threading.Event().wait, name="left behind").start()
    {first}
    yield
    {last}
"""


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize(("phase", "code"), [("first", 3), ("last", 1)])
def test_exit_code_tells_of_the_failure_although_a_thread_is_left(
    serve: Run, workers: str, phase: str, code: int
) -> None:
    """3 for a startup, 1 for a shutdown."""
    lines = {"first": "", "last": ""} | {phase: "raise OSError('no such host')"}
    with serve(THREAD.format(**lines), "--workers", workers, module=TWIN) as server:
        if phase == "last":
            server.wait_until_serving()
            server.stop("SIGTERM")
        assert server.wait() == code
        assert "which go on: left behind" in server.output()


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("output", ["closed", "broken"])
def test_stuck_process_ends_although_nobody_reads_its_output(
    tmp_path: Path, workers: str, output: str
) -> None:
    """The streams are closed, or pipes whose reader has gone."""
    twin = [sys.executable, "-m", TWIN, "project.asgi:application", "--bind", f"{HOST}:{{port}}"]
    twin += ["--graceful-timeout", "1", "--workers", workers]
    shell = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh"] if output == "closed" else []
    reader, writer = os.pipe()
    os.close(reader)
    streams = {} if output == "closed" else {"stdout": writer}
    with start([*shell, *twin], "chain", **streams) as server:
        os.close(writer)
        server.wait_until_serving()
        server.send("/stuck/")
        server.wait_for("request stuck")
        server.stop("SIGTERM")
        assert server.wait() == 1
        assert server.story() == [*STARTED, "request stuck", *STOPPED]


def test_twins_worker_that_is_told_to_stop_while_it_imports_is_replaced(tmp_path: Path) -> None:
    """It has nothing to close, and is no reason to end the others."""
    command = [sys.executable, "-m", TWIN, "project.slow_asgi:application", "--workers", "2"]
    with start([*command, "--bind", f"{HOST}:{{port}}"], "chain") as server:
        server.wait_for("import blocked", times=2)
        server.stop_worker("SIGTERM")
        server.wait_for("import blocked", times=3)
        server.open_gate("import")
        server.wait_for("search open", times=2)
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert sorted(map(len, server.lifespans())) == [1, 13, 13]


FAILING_FRONT = """
from project.asgi import application as django

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "The front has no database."})
"""


def test_twin_ends_with_3_where_the_application_in_front_fails(serve: Run) -> None:
    """Its own startup fails before the lifespan of the project begins."""
    with serve(FAILING_FRONT, module=TWIN) as server:
        assert server.wait() == 3
        assert server.story() == []
        assert "The front has no database." in server.output()


def test_resource_that_is_slower_than_hypercorns_limit_is_named(serve: Run, tmp_path: Path) -> None:
    """The startup has failed: exit code 3, and no traceback of hypercorn's."""
    (tmp_path / "hypercorn.toml").write_text("startup_timeout = 0.5\n")
    options = ("--config", str(tmp_path / "hypercorn.toml"))
    text = "from project.asgi import application"
    with serve(text, *options, module=TWIN, CACHE_OPENING="stuck") as server:
        assert server.wait() == 3
        assert server.story()[-2:] == ["pool closing", "pool closed"]
        assert "WARNING: The startup is interrupted, waiting for: cache" in server.output()
        assert "Traceback" not in server.output()
        assert "startup_timeout" in server.output()


def test_resource_that_closes_slower_than_hypercorns_limit_is_a_failure(
    serve: Run, tmp_path: Path
) -> None:
    """Exit code 1, and the others close."""
    (tmp_path / "hypercorn.toml").write_text("shutdown_timeout = 0.5\n")
    options = ("--config", str(tmp_path / "hypercorn.toml"))
    text = "from project.asgi import application"
    with serve(text, *options, module=TWIN, CACHE_CLOSING="stuck") as server:
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 1
        assert server.story()[-1] == "pool closed"


LATE = """
import asyncio, socket
from types import SimpleNamespace
from unittest.mock import AsyncMock, Mock
from django_asgi_lifespan.adapters import calls
from project.asgi import application as django
from testkit import journal

async def application(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/arm/":
        [(_, variables)] = calls("hypercorn.asyncio.run", "worker_serve")
        arm(variables["context"].terminated, variables["_server_callback"])
    await django(scope, receive, send)

def arm(terminated, serve_connection):
    set_event = terminated.set

    async def set_in_the_turn_of_a_connection():
        reader = asyncio.StreamReader()
        reader.feed_data(b"GET /held/ HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
        writer = Mock(drain=AsyncMock(), wait_closed=AsyncMock())
        address = lambda: ("127.0.0.1", 80)
        end = SimpleNamespace(family=socket.AF_INET, getpeername=address, getsockname=address)
        writer.get_extra_info = {"socket": end}.get
        writer.close = reader.feed_eof
        terminated.task = asyncio.create_task(serve_connection(reader, writer))
        await set_event()

    terminated.set = set_in_the_turn_of_a_connection
"""


@pytest.mark.parametrize("worker_class", ["asyncio", "uvloop"])
@pytest.mark.parametrize("stop", ["SIGTERM to hypercorn", "SIGTERM to the worker"])
def test_connection_that_begins_as_hypercorn_stops_ends_before_the_resources_close(
    serve: Run, worker_class: str, stop: str
) -> None:
    """By itself, hypercorn waits only for the connections whose tasks have begun when it stops."""
    with serve(LATE, "--worker-class", worker_class) as server:
        server.wait_until_serving()
        assert server.get("/arm/").status == 404
        is_replaced = stop == "SIGTERM to the worker"
        (server.stop_worker if is_replaced else server.stop)("SIGTERM")
        server.wait_for("request held")
        server.release("request")
        if is_replaced:
            server.wait_for("search open", times=2)
            server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.stories()[0] == [*STARTED, "request held", "request answered", *STOPPED]


def test_second_ctrl_c_gives_requests_up(serve: Run) -> None:
    """They need not wait for the end of the graceful timeout."""
    options = ("--graceful-timeout", "600")
    with serve("from project.asgi import application", *options) as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("Ctrl+C")
        server.hurry("Giving up requests in flight: 1.")
        assert server.wait() == 0
        closed = "stream closed with search in cache of pool"
        assert server.story() == [*STARTED, "stream open", closed, *STOPPED]
