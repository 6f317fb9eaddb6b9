"""Programs, wrappers, threads and containers around daphne."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST, Answer
from testkit.processes import Process, start
from testkit.stories import STARTED, STOPPED

from .conftest import HERE, Start

pytestmark = pytest.mark.process

FOUND = Answer(200, {"get": "search in cache of pool", "state": "search in cache of pool"})
TRACEBACK = "Traceback (most recent call last)"
OURS = "django_asgi_lifespan_daphne daphne"
Run = Callable[..., AbstractContextManager[Process]]

# An application in front

IN_FRONT = {
    "run_lifespan()": """
from django_asgi_lifespan import run_lifespan
from project.asgi import application as django

def inside(): return run_lifespan()
""",
    "LifespanDriver": """
from django_asgi_lifespan.adapters import LifespanDriver
from project.asgi import application as django

def inside(): return LifespanDriver(django)
""",
}
STARLETTE = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.routing import Mount

@asynccontextmanager
async def lifespan(app):
    async with inside() as state:
        yield state

application = Starlette(routes=[Mount("/", django)], lifespan=lifespan)
"""
STOPPING = """
from django_asgi_lifespan import asgi_stopping
from testkit import journal

async def note(**_):
    journal.write("server", "stopping")

asgi_stopping.connect(note)
"""


@pytest.mark.parametrize("front", IN_FRONT)
def test_the_stop_is_announced_behind_another_application(
    daphne: Start, changing: Path, front: str
) -> None:
    """Before the requests in flight have ended."""
    changing.write_text(STOPPING)
    changing.with_name("front.py").write_text(IN_FRONT[front] + STARLETTE)
    with daphne("chain", asgi="changing.front", **settings(changing)) as server:
        server.wait_for("search open")
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_for("server stopping")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer().status == 200
        assert server.wait() == 0
        requests = ["request held", "server stopping", "request answered"]
        assert server.story() == [*STARTED, *requests, *STOPPED]


VIEW = """
from django.http import JsonResponse
from django.urls import path
from project.chain.urls import urlpatterns as others
from testkit import journal
from django_asgi_lifespan import run_lifespan

async def inner(request):
    async with run_lifespan():
        journal.write("inner", "open")
    return JsonResponse({})

urlpatterns = [path("inner/", inner), *others]
"""


def test_a_lifespan_of_a_view_is_not_that_of_the_server(daphne: Start, changing: Path) -> None:
    """The stop still concerns the lifespan with which daphne started."""
    changing.write_text(STOPPING)
    changing.with_name("urls.py").write_text(VIEW)
    variables = {**settings(changing), "ROOT_URLCONF": "changing.urls"}
    with daphne("chain", **variables) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/inner/").status == 200
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() == 0
        assert server.story()[-len(STOPPED) - 2 :] == [
            "server stopping",
            "request answered",
            *STOPPED,
        ]


# Threads

AGENT = """
import os, signal, threading
from testkit import gates

def serve():
    if os.environ.get("RUN_MAIN") == os.environ.get("AGENT_IN"):
        gates.block("agent")
        signal.pthread_kill(threading.get_ident(), getattr(signal, os.environ["AGENT_SIGNAL"]))
    threading.Event().wait()

threading.Thread(target=serve, name="agent", daemon=True).start()
"""


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("target", ["stock", "command", "noreload", "parent", "child"])
def test_an_os_signal_may_arrive_in_a_thread_that_is_older(
    request: pytest.FixtureRequest, tmp_path: Path, changing: Path, target: str, stop: str
) -> None:
    """As those of agents and debuggers are, which begin before the command."""
    (tmp_path / "sitecustomize.py").write_text(AGENT)
    variables = {**settings(changing), "AGENT_SIGNAL": stop}
    if target in ("stock", "command"):
        starting = request.getfixturevalue(target)("chain", **variables)
    else:
        options = ["--noreload"] if target == "noreload" else []
        if target == "child":
            variables["AGENT_IN"] = "true"
        variables["MORE_APPS"] = OURS
        starting = request.getfixturevalue("runserver")(*options, apps=OURS, **variables)
    with starting as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.release("agent")
        assert server.wait() == 0
        assert [event for event in server.story() if event != "agent blocked"] == [
            *STARTED,
            *STOPPED,
        ]


# Containers

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.fixture
def container() -> Start:
    """Return what starts the command as the first process of a namespace."""
    try:
        subprocess.run([*CONTAINER, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to make a namespace")

    def launch(django_app: str, asgi: str) -> AbstractContextManager[Process]:
        program = [*CONTAINER, sys.executable, "-m", "django_asgi_lifespan_daphne"]
        program += ["--bind", HOST, "--port", "{port}", f"project.{asgi}:application"]
        return start(program, django_app)

    return launch


def stop_inside(server: Process, stop: str) -> None:
    """Send an OS signal to the only child of ``unshare``."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    os.kill(int(children.read_text().split()[0]), signal.Signals[stop])


def test_the_first_process_of_a_container_can_be_stopped_while_it_imports(container: Start) -> None:
    """The kernel keeps it from dying of an OS signal that it does not handle."""
    with container("chain", "slow_asgi") as server:
        server.wait_for("import blocked")
        stop_inside(server, "SIGTERM")
        assert server.wait() == 128 + signal.SIGTERM
        assert server.story() == ["import blocked"]


def test_the_first_process_of_a_container_stops_as_any_other(container: Start) -> None:
    """In order."""
    with container("chain", "asgi") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        stop_inside(server, "SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


# Handlers of the project

HANDLERS = {
    "calls the one before": """
before = signal.getsignal(signal.SIGTERM)
def handle(number, frame):
    journal.write("project", "told")
    before(number, frame)
""",
    "stops the reactor": """
def handle(number, frame):
    from twisted.internet import reactor
    journal.write("project", "told")
    reactor.callFromThread(reactor.stop)
""",
}
HANDLING = """
import signal
from testkit import journal
from django_asgi_lifespan import resource

@resource
async def handling():
    HANDLER
    signal.signal(signal.SIGTERM, handle)
    yield
"""


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_of_the_project_is_no_worse_than_under_daphne_alone(
    daphne: Start, changing: Path, handler: str
) -> None:
    """Requests in flight are answered, and everything is closed."""
    code = HANDLERS[handler].strip().replace("\n", "\n    ")
    changing.write_text(HANDLING.replace("HANDLER", code))
    with daphne("chain", **settings(changing)) as server:
        server.wait_for("search open")
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() == 0
        requests = ["request held", "project told", "request answered"]
        assert server.story() == [*STARTED, *requests, *STOPPED]


# Programs

PROGRAM = """
import signal, sys, threading
from {module} import {server} as Server
from project.asgi import application
from testkit import gates, journal

numbers = [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
server = Server(application, endpoints=[sys.argv[1]])
threading.Thread(target=threading.Event().wait, daemon=False).start()
server.run()
assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
assert signal.getsignal(signal.SIGQUIT) is signal.SIG_DFL
journal.write("program", "goes on")
gates.block("program")
journal.write("program", f"ends with {{bool(server.abort_start)}}")
import os
os._exit(0)
"""


@pytest.mark.parametrize(
    ("module", "server_class"),
    [
        ("daphne.server", "Server"),
        ("django_asgi_lifespan_daphne.server", "LifespanServer"),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_program_that_runs_the_server_goes_on(
    module: str, server_class: str, fails: bool
) -> None:
    """It is not ended, has its OS signals back, and can tell a failure."""
    program = PROGRAM.format(module=module, server=server_class)
    command = [sys.executable, "-c", program, f"tcp:{{port}}:interface={HOST}"]
    variables = {"CACHE_OPENING": "fail"} if fails else {}
    with start(command, "chain", environment=variables) as server:
        if not fails:
            server.wait_for("search open")
            server.wait_until_serving()
            assert server.get("/async/") == FOUND
            server.stop("SIGHUP")
        server.wait_for("program goes on")
        server.pass_time(7)  # more than a process of ours has to end
        server.release("program")
        assert server.wait() == 0
        assert server.story()[-1] == f"program ends with {fails}"
        assert "The process ends without its threads" not in server.output()


def settings(changing: Path) -> dict[str, str]:
    """Return the environment in which the Django app ``changing`` is installed."""
    path = os.pathsep.join([str(HERE), str(changing.parents[1])])
    return {
        "DJANGO_SETTINGS_MODULE": "runserver_settings",
        "MORE_APPS": "",
        "PYTHONPATH": path,
    }
