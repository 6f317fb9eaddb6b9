"""gunicorn with the programs that people build around it: threads, factories, wrappers, hooks."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from testkit.stories import FOUND, STARTED, STOPPED

from .conftest import WORKERS, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork()"),
]

ADAPTED = pytest.mark.parametrize("worker", [*WORKERS, "uvicorn_worker.UvicornWorker"])

THREAD = """
import threading
from django_asgi_lifespan import asgi_{phase}

def leave(**_):
    threading.Thread(target=threading.Event().wait, name="left behind", daemon=False).start()

asgi_{phase}.connect(leave, weak=False)
"""

FAILING = """
from django_asgi_lifespan import asgi_{phase}

def fail(**_):
    raise RuntimeError("as the test wants it")

asgi_{phase}.connect(fail, weak=False)
"""

CLIENTS = """
import asyncio, socket
from django_asgi_lifespan import asgi_stopping

async def write(**_):
    journal.write("server", "stopping")

asgi_stopping.connect(write, weak=False)
"""


@pytest.mark.parametrize("workers", ["1", "3"])
def test_failed_startup_ends_despite_a_thread(surrounded: Start, workers: str) -> None:
    """Nobody closes a library's thread where the startup fails, and Python would wait for it."""
    source = (THREAD + FAILING).format(phase="startup")
    with surrounded(source, "--workers", workers) as server:
        assert server.wait() == 3
        assert "The process ends without its threads, which go on: left behind" in server.output()
        assert len(server.pids()) <= int(workers)
        # The arbiter may interrupt the startup of another worker.
        assert [*STARTED, *STOPPED] in server.stories()
        assert server.story().count("pool open") == server.story().count("pool closed")
        assert "SIGKILL" not in server.output()


def test_application_that_cannot_be_imported_ends_despite_a_thread(surrounded: Start) -> None:
    """With the exit code of gunicorn's own."""
    source = THREAD.format(phase="startup") + "leave()\nraise RuntimeError('no application')\n"
    with surrounded(source) as server:
        assert server.wait() == 3
        assert "no application" in server.output()


@pytest.mark.parametrize("source", [FAILING, THREAD + FAILING])
def test_failed_shutdown_ends_the_worker_with_1(surrounded: Start, source: str) -> None:
    """Its arbiter, which was told to stop, ends with 0 all the same."""
    with surrounded(source.format(phase="shutdown")) as server:
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request answered", *STOPPED]
        assert "Application shutdown failed: " in server.output()
        assert "exited with code 1" in server.output()
        assert "SIGKILL" not in server.output()


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_stop_between_the_fork_and_the_handlers_is_obeyed(surrounded: Start, stop: str) -> None:
    """The child still has the handler of the arbiter, which only fills a queue."""
    configuration = """
def post_fork(server, worker):
    from testkit import gates
    gates.block("fork")
"""
    with surrounded("", configuration=configuration) as server:
        server.wait_for("fork blocked")
        server.stop_worker(stop)
        server.stop(stop)
        server.release("fork")
        assert server.wait() == 0
        assert server.story() == ["fork blocked"]
        assert "SIGKILL" not in server.output()


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: exa"])
def test_connection_without_a_request_delays_nothing(
    surrounded: Start, worker: str, head: bytes
) -> None:
    """Any client could open one, and send no request or half the head of one."""
    with surrounded("") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        with server.address.connect() as connection:
            connection.sendall(head)
            assert server.get("/async/") == FOUND  # the worker has accepted the connection
            began = time.monotonic()
            server.stop("SIGTERM")
            assert server.wait() == 0
        assert time.monotonic() - began < 9  # half the drain
        assert server.story() == [*STARTED, "request answered", *STOPPED]


def test_idle_connection_is_closed_and_a_request_in_flight_is_not(surrounded: Start) -> None:
    """The idle one has had an answer, and its client keeps it for the next request."""
    with surrounded("", "--keep-alive", "60") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        idle = server.send("/async/", keep_alive=True)
        assert idle.answer() == FOUND
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer() == FOUND
        began = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - began < 9


@pytest.mark.parametrize("stop", ["SIGINT", "SIGTERM"])
def test_stop_right_after_the_import_leaves_no_coroutine_behind(
    surrounded: Start, stop: str
) -> None:
    """The handler of gunicorn itself would raise SystemExit wherever the program is."""
    configuration = f"""
def post_worker_init(worker):
    import os, signal
    from testkit import journal
    journal.write("worker", "ready")
    os.kill(os.getpid(), signal.{stop})
    os.kill(os.getppid(), signal.{stop})
"""
    with surrounded("", configuration=configuration, PYTHONDEVMODE="1") as server:
        assert server.wait() == 0
        assert server.story() == ["worker ready"]
        assert "never awaited" not in server.output()


def test_ctrl_c_interrupts_an_import(surrounded: Start) -> None:
    """An import may hang, and nothing is open yet."""
    source = "import threading\njournal.write('import', 'hangs')\nthreading.Event().wait()\n"
    with surrounded(source) as server:
        server.wait_for("import hangs")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.story() == ["import hangs"]
        assert "SIGKILL" not in server.output()


FRONT = """
from contextlib import asynccontextmanager
from django_asgi_lifespan import asgi_stopping, run_lifespan
from django_asgi_lifespan.adapters import LifespanDriver
from starlette.applications import Starlette

async def write(**_):
    journal.write("server", "stopping")

asgi_stopping.connect(write, weak=False)
django = application

@asynccontextmanager
async def lifespan(front):
    async with {block} as state:
        yield state

application = Starlette(lifespan=lifespan)
application.mount("/", django)
"""

WRAPPER = (
    CLIENTS
    + """
inner = application

async def application(scope, receive, send):
    async def wrapped():
        return await receive()
    await inner(scope, wrapped, send)
"""
)


@ADAPTED
@pytest.mark.parametrize(
    "source",
    [FRONT.format(block="run_lifespan()"), FRONT.format(block="LifespanDriver(django)"), WRAPPER],
)
def test_the_notice_precedes_the_end_of_requests_behind_other_applications(
    surrounded: Start, source: str
) -> None:
    """The worker finds its lifespan, although other code stands in front of it."""
    with surrounded(source) as server:
        server.wait_for("search open")
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_for("server stopping")
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() == 0
        requests = ["request held", "server stopping", "request answered"]
        assert server.story() == [*STARTED, *requests, *STOPPED]


@ADAPTED
def test_request_that_never_ends_is_disconnected_first(surrounded: Start) -> None:
    """In the last second that requests have, which is 1.8 s of the 3 s here."""
    with surrounded(CLIENTS, "--graceful-timeout", "3") as server:
        server.wait_for("search open")
        server.hold_a_request()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request held", "server stopping", *STOPPED]
        limit = "Waiting at most 1.8 s for requests in flight: 1 (--graceful-timeout)."
        assert limit in server.output()
        assert "Giving up requests in flight: 1." in server.output()
        assert "SIGKILL" not in server.output()


@ADAPTED
@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_first_stop_interrupts_a_startup_and_names_the_pending_resource(
    surrounded: Start, stop: str
) -> None:
    """The startup might last for ever."""
    with surrounded("", CACHE_OPENING="stuck") as server:
        server.wait_for("cache stuck")
        server.stop(stop)
        assert server.wait() == 0
        assert server.story()[-4:] == ["cache stuck", "cache cancelled", *STOPPED[-2:]]
        assert "it is interrupted" in server.output()


CHAINED = """
import signal
from django_asgi_lifespan import asgi_startup

def take(**_):
    before = signal.getsignal(signal.SIGTERM)

    def handle(number, frame):
        journal.write("handler", "called")
        before(number, frame)

    signal.signal(signal.SIGTERM, handle)

async def receiver(**_):
    take()

asgi_startup.connect(receiver, weak=False)
"""


@ADAPTED
def test_handler_of_the_project_can_pass_an_os_signal_on(surrounded: Start) -> None:
    """As it would with the stock worker."""
    with surrounded(CHAINED) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request answered", "handler called", *STOPPED]


def test_os_signal_in_a_thread_older_than_the_program_stops_it(
    surrounded: Start, tmp_path: Path
) -> None:
    """Agents start such threads, and one of them may be the only one that gets OS signals."""
    (tmp_path / "sitecustomize.py").write_text(AGENT)
    with surrounded("") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop_worker("SIGTERM")
        server.wait_for("pool closed")
        assert server.stories()[0] == [*STARTED, "request answered", *STOPPED]


AGENT = """
import os, signal, threading

def start():
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

os.register_at_fork(after_in_child=start)
"""


@pytest.mark.parametrize("worker", ["uvicorn_worker.UvicornWorker", "asgi", *WORKERS])
def test_lifespan_of_a_view_is_not_that_of_the_worker(surrounded: Start) -> None:
    """The worker has started, and its stop concerns the lifespan that it started with."""
    source = """
from django.http import JsonResponse
from django.urls import path
from django_asgi_lifespan import run_lifespan

async def view(request):
    async with run_lifespan():
        journal.write("view", "inside")
    return JsonResponse({})

from project.chain import urls
urls.urlpatterns.append(path("lifespan/", view))
"""
    with surrounded(source) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/lifespan/").status == 200
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STARTED, "view inside", *STOPPED, *STOPPED]
        assert server.output().count("Run gunicorn with -k") <= 1


FACTORY = """
from django_asgi_lifespan_gunicorn import LifespanWorker

class worker_class(LifespanWorker):
    CONFIG_KWARGS = {"factory": True}
"""


@pytest.mark.parametrize(
    ("worker", "name", "configuration"),
    [
        ("", "create", FACTORY),
        ("LifespanWorker", "create", ""),  # uvicorn finds out by itself
        ("LifespanWorker", "create()", ""),  # gunicorn's own syntax
        ("NativeLifespanWorker", "create()", ""),
    ],
)
def test_application_factory_is_called(surrounded: Start, name: str, configuration: str) -> None:
    """As uvicorn-worker and gunicorn take one."""
    source = "def create():\n    return application\n"
    with surrounded(source, name=name, configuration=configuration) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request answered", *STOPPED]
