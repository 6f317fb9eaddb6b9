"""Applications in front of the project, and programs around uvicorn's classes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import CUT_OFF, HOST
from testkit.processes import Process, start
from testkit.stories import STARTED, STOPPED, TRACEBACK

from .conftest import CANCELS_QUIETLY

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="sends the OS signals of POSIX"),
]

QUEUE = """
import asyncio
from project.asgi import application as django

async def application(scope, receive, send):
    if scope["type"] != "lifespan":
        return await django(scope, receive, send)
    messages = asyncio.Queue()
    async def relay():
        while True:
            await messages.put(await receive())
    relaying = asyncio.create_task(relay())
    try:
        await django(scope, messages.get, send)
    finally:
        relaying.cancel()
"""
"""As a dispatcher of several applications does."""

TASK = """
import asyncio
from project.asgi import application as django

async def application(scope, receive, send):
    await asyncio.create_task(django(scope, receive, send))
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

FRONTS = {
    "front_queue": QUEUE,
    "front_task": TASK,
    "front_starlette": STARLETTE.format(lifespan="run_lifespan()"),
    "front_driver": STARLETTE.format(lifespan="LifespanDriver(django)"),
}

Serve = Callable[..., AbstractContextManager[Process]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Return a function that starts a module as a program, beside the modules of the fronts."""
    for name, content in FRONTS.items():
        (tmp_path / f"{name}.py").write_text(content)

    def launch(*program: str, **environment: str) -> AbstractContextManager[Process]:
        return start(
            [sys.executable, *program],
            "chain",
            environment={"PYTHONPATH": str(tmp_path), **environment},
        )

    return launch


@pytest.fixture
def run(serve: Serve, tmp_path: Path) -> Serve:
    """Return a function that starts a program, of which ``PORT`` and ``application`` are names."""

    def launch(content: str, **environment: str) -> AbstractContextManager[Process]:
        head = "import sys\nPORT = int(sys.argv[1])\nfrom project.asgi import application\n"
        (tmp_path / "program.py").write_text(head + content)
        return serve("-m", "program", "{port}", **environment)

    return launch


@pytest.fixture(params=["uvicorn", "django_asgi_lifespan_uvicorn"], ids=["stock", "command"])
def module(request: pytest.FixtureRequest) -> str:
    """The module that is the command."""
    return str(request.param)


def options(front: str) -> list[str]:
    """Return the options of uvicorn that serve the application of a front."""
    return [f"{front}:application", "--host", HOST, "--port", "{port}"]


@pytest.mark.parametrize("front", [*FRONTS, "project.asgi --log-level trace"])
def test_the_adapter_is_on_behind_every_front(serve: Serve, module: str, front: str) -> None:
    """A late Ctrl+C gives up the requests, and the resources close before the server ends."""
    name, *more = front.split()
    with serve("-m", module, *options(name), *more) as server:
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_until_refusing()
        server.hurry("Giving up requests in flight: 1.")
        with pytest.raises(CUT_OFF):
            request.answer()
        assert server.wait() == (0 if module != "uvicorn" else -signal.SIGTERM)
        assert server.lifespans() == [[*STARTED, *STOPPED]]
        assert TRACEBACK not in server.output() or not CANCELS_QUIETLY


@pytest.mark.parametrize("front", FRONTS)
def test_a_startup_is_interrupted_behind_every_front(serve: Serve, module: str, front: str) -> None:
    """The open resources close. uvicorn's own command ends with 3, because it has not started."""
    with serve("-m", module, *options(front), CACHE_OPENING="stuck") as server:
        server.wait_for("cache stuck")
        server.stop("Ctrl+C")
        assert server.wait() == (0 if module != "uvicorn" else 3)
        assert server.story() == [*STARTED[:3], "cache stuck", "cache cancelled", *STOPPED[4:]]


@pytest.mark.parametrize("front", FRONTS)
def test_a_worker_behind_every_front_ends_with_its_supervisor(serve: Serve, front: str) -> None:
    """Which was killed."""
    with serve("-m", "uvicorn", *options(front), "--workers", "1", "--reload") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.stop("SIGKILL")
        server.wait_for("pool closed", alive=False)
        assert server.story() == [*STARTED, *STOPPED]


NOTE_HANDLER = """
import asyncio, signal, threading, uvicorn
from testkit import gates, journal
BEFORE = signal.getsignal(signal.SIGTERM)
def note():
    threads = [each.name for each in threading.enumerate() if isinstance(each, threading.Timer)]
    given_back = signal.getsignal(signal.SIGTERM) is BEFORE
    journal.write("program", f"goes on, {given_back=}, {threads=}")
def server(port=PORT):
    return uvicorn.Server(uvicorn.Config(application, port=port))
"""
GOES_ON = "program goes on, given_back=True, threads=[]"


@pytest.mark.parametrize("how", ["told", "cancelled"])
def test_a_server_in_a_task_of_a_program_is_left_alone(run: Serve, how: str) -> None:
    """The OS signals stay uvicorn's, and are given back when its ``serve()`` has ended."""
    program = (
        NOTE_HANDLER
        + """
async def main():
    one = server()
    serving = asyncio.create_task(one.serve())
    await gates.hold("program")
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    journal.write("server", "has the OS signals" if owner is one else f"has not: {owner}")
"""
        + ("    one.should_exit = True\n" if how == "told" else "    serving.cancel()\n")
        + """
    await asyncio.wait({serving})
    note()
asyncio.run(main())
"""
    )
    with run(program) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.release("program")
        assert server.wait() == 0
        story = server.story()
        assert "server has the OS signals" in story
        assert GOES_ON in story
        assert [each for each in story if each in STOPPED] == STOPPED


def test_two_servers_of_one_program_are_left_alone(run: Serve) -> None:
    """They start at the same time in one event loop, and each of them closes."""
    program = (
        NOTE_HANDLER
        + """
async def main():
    two = [server(), server(0)]
    serving = [asyncio.create_task(each.serve()) for each in two]
    await gates.hold("program")
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    for each in two:
        each.should_exit = True
    await asyncio.gather(*serving)
    journal.write("second", "had the OS signals" if owner is two[1] else f"had not: {owner}")
asyncio.run(main())
"""
    )
    with run(program) as server:
        server.wait_for("search open", times=2)
        server.release("program")
        assert server.wait() == 0
        story = server.story()
        assert story[-1] == "second had the OS signals"
        assert sorted(each for each in story if each in STOPPED) == sorted(STOPPED * 2)
        assert "adapter" not in server.output()


def test_two_servers_that_cannot_be_told_apart_turn_the_adapter_off(
    serve: Serve, tmp_path: Path
) -> None:
    """An application in front starts a second server before the project's lifespan."""
    (tmp_path / "second.py").write_text(
        """
import asyncio, contextlib, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from django_asgi_lifespan import run_lifespan
from project.asgi import application as django

@contextlib.asynccontextmanager
async def metrics(app):
    async with run_lifespan():
        yield

@contextlib.asynccontextmanager
async def lifespan(app):
    second = uvicorn.Server(uvicorn.Config(Starlette(lifespan=metrics), port=0))
    serving = asyncio.create_task(second.serve())
    while not second.started:
        await asyncio.sleep(0.01)
    async with run_lifespan():
        yield
    second.should_exit = True
    await serving

application = Starlette(routes=[Mount("/", django)], lifespan=lifespan)
"""
    )
    with serve("-m", "uvicorn", *options("second")) as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() in (-signal.SIGTERM, 0)
        assert server.output().count("The adapter for uvicorn is off: two servers start") == 1
        closed = [each for each in server.story() if each in STOPPED]
        assert sorted(closed) == sorted(STOPPED * 2)


def test_a_program_goes_on_after_its_server(run: Serve) -> None:
    """With the hooks, but not ended by them although a thread of it goes on."""
    program = (
        NOTE_HANDLER
        + """
import contextlib
release = threading.Event()
thread = threading.Thread(target=release.wait)
thread.start()
with contextlib.suppress(KeyboardInterrupt):
    server().run()
note()
release.set()
"""
    )
    with run(program) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.stop("SIGINT")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED, GOES_ON]


def test_a_view_may_run_a_lifespan_of_its_own(serve: Serve, module: str, tmp_path: Path) -> None:
    """The server has started by then, and its stop stays its own."""
    (tmp_path / "nested.py").write_text(
        """
from django_asgi_lifespan import run_lifespan
from project.asgi import application as django

async def application(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/nested/":
        async with run_lifespan():
            scope["path"] = "/async/"
            return await django(scope, receive, send)
    await django(scope, receive, send)
"""
    )
    with serve("-m", module, *options("nested")) as server:
        server.wait_until_serving()
        assert server.get("/nested/").status == 200
        request = server.hold_a_request()
        server.stop_group("SIGTERM")
        server.stop_group("SIGINT")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer().status == 200
        assert server.wait() == (0 if module != "uvicorn" else -signal.SIGTERM)
        assert server.lifespans() == [[*STARTED, *STARTED, *STOPPED, *STOPPED]]


@pytest.mark.parametrize("moment", ["import", "startup"])
def test_a_project_may_handle_an_os_signal_itself(
    serve: Serve, module: str, moment: str, tmp_path: Path
) -> None:
    """Its handler is called, and calls the one that was there before."""
    (tmp_path / "handling.py").write_text(
        """
import os, signal
from django_asgi_lifespan.signals import asgi_startup
from project.asgi import application
from testkit import journal

def handle(number, frame):
    journal.write("signal", "handled")
    if callable(before):
        before(number, frame)

def install():
    global before
    before = signal.signal(signal.SIGTERM, handle)

async def start(**kwargs):
    install()

if os.environ["MOMENT"] == "import":
    install()
else:
    asgi_startup.connect(start)
"""
    )
    with serve("-m", module, *options("handling"), MOMENT=moment) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer().status == 200
        server.wait()
        story = [each for each in server.story() if "request" not in each]
        assert "signal handled" in story
        assert [each for each in story if each != "signal handled"] == [*STARTED, *STOPPED]
