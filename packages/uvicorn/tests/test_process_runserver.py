"""``manage.py runserver`` with the Django app installed: a real one, as developers use it."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from testkit.client import HOST
from testkit.processes import Process
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK, held

from .conftest import CANCELS_QUIETLY, Start

pytestmark = pytest.mark.process

FAILING = """
from django_asgi_lifespan import resource

@resource
async def supplier():
    raise LookupError("nobody there")
    yield
"""


def wait_until_watching(server: Process, *, times: int = 1) -> None:
    """Return when it serves and notices changes."""
    server.wait_for("search open", times=times)
    server.wait_until_serving()


def change(server: Process, folder: Path, content: str) -> None:
    """Write *content* into a module, and make it newer until the reloader has noticed."""
    file = folder / "changing" / "lifespan.py"
    file.write_text(content)
    before = server.output().count("changed, reloading.")
    server.change(file, lambda: server.output().count("changed, reloading.") > before)


@pytest.mark.parametrize("options", [[], ["--noreload"]], ids=["reloader", "noreload"])
@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_it_looks_like_djangos_and_closes(runserver: Start, options: list[str], stop: str) -> None:
    """The familiar lines, requests in the log, the lifespan around them, and exit code 0."""
    with runserver(*options) as server:
        wait_until_watching(server)
        assert server.get("/async/") == FOUND
        assert server.get("/sync/") == FOUND
        server.stop(stop)
        assert server.wait() == 0
        assert server.story() == [*STARTED, *["request answered"] * 2, *STOPPED]
        log = server.output()
        assert ("Watching for file changes with StatReloader" in log) == (not options)
        assert "System check identified no issues (0 silenced)." in log
        assert re.search(
            rf"^Starting uvicorn [\d.]+ development server at http://{HOST}:{server.port}/$\n"
            r"^Quit the server with CONTROL-C\.$",
            log,
            re.MULTILINE,
        )
        assert re.search(
            r'^\[\d\d/\w{3}/\d{4} [\d:]{8}\] "GET /async/ HTTP/1.1" 200$', log, re.MULTILINE
        )
        assert re.search(
            r"^\[\d\d/\w{3}/\d{4} [\d:]{8}\] pool started in \d+ ms$", log, re.MULTILINE
        )
        assert TRACEBACK not in log


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM of the group", "SIGHUP of the group"])
def test_every_way_of_stopping_closes(runserver: Start, how: str) -> None:
    """The parent alone, as ``kill`` does, or the whole group, as a terminal or systemd does."""
    name, _, group = how.partition(" ")
    with runserver() as server:
        wait_until_watching(server)
        (server.stop_group if group else server.stop)(name)
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_closing_may_take_its_time(runserver: Start, stop: str) -> None:
    """Django's reloader would kill the process, a quarter of a second after Ctrl+C."""
    with runserver(CACHE_CLOSING="held") as server:
        wait_until_watching(server)
        server.stop(stop)
        server.wait_for("cache held")
        later = time.monotonic() + 0.7
        server.until(lambda: time.monotonic() > later, "more time than Django gives")
        server.release("cache")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *held(STOPPED, at="cache closing")]


def test_a_second_ctrl_c_does_not_wait(runserver: Start) -> None:
    """It ends at once, and says that it does."""
    with runserver(CACHE_CLOSING="stuck") as server:
        wait_until_watching(server)
        server.stop("Ctrl+C")
        server.wait_for("cache stuck")
        server.hurry("The process ends before everything is closed.")
        assert server.wait() == 1


def test_the_server_ends_with_a_killed_reloader(runserver: Start) -> None:
    """Nobody is left to serve, and nothing is left open."""
    with runserver() as server:
        wait_until_watching(server)
        server.stop("SIGKILL")
        assert server.wait() == -signal.SIGKILL
        server.wait_for("pool closed", alive=False)
        assert server.story() == [*STARTED, *STOPPED]


def test_a_reload_closes_before_it_starts_anew(runserver: Start, tmp_path: Path) -> None:
    """An endless stream does not hold it up, nor the stop."""
    with runserver() as server:
        for times in (1, 2):
            wait_until_watching(server, times=times)
            server.send("/stream/?deaf")
            server.wait_for("stream open", times=times)
            if times == 1:
                change(server, tmp_path, "")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        stream = ["stream open", "stream closed with search in cache of pool"]
        assert server.story() == [*STARTED, *stream, *STOPPED] * 2
        assert TRACEBACK not in server.output() or not CANCELS_QUIETLY


def test_a_websocket_is_told_of_the_stop(runserver: Start) -> None:
    """With the close code 1012, and it holds up nothing."""
    asgi = {"DJANGO_APP": "project.sockets", "ASGI_APPLICATION": "project.sockets_asgi.application"}
    with runserver(**asgi) as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        with connect(f"ws://{HOST}:{server.port}/") as client:
            assert client.recv() == "hub"
            server.stop("Ctrl+C")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        told = ["server stopping", "socket websocket.disconnect"]
        assert server.story() == ["hub open", *told, "hub closed"]


def test_a_failed_startup_waits_for_the_next_change(runserver: Start, tmp_path: Path) -> None:
    """The reason is shown once, and when it is mended the server serves."""
    (tmp_path / "changing" / "lifespan.py").write_text(FAILING)
    with runserver() as server:
        server.until(lambda: "It tries again when a file changes." in server.output(), "the end")
        assert "supplier failed to start: LookupError: nobody there" in server.output()
        assert server.output().count(TRACEBACK) == 1
        assert not server.accepts()
        change(server, tmp_path, "")
        wait_until_watching(server)
        assert server.get("/async/") == FOUND
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.stories()[1] == [*STARTED, "request answered", *STOPPED]


@pytest.mark.parametrize("app", ["", "django_asgi_lifespan"], ids=["handler", "Django app"])
def test_a_module_that_cannot_be_imported_waits_for_the_next_change(
    runserver: Start, tmp_path: Path, app: str
) -> None:
    """As under Django's own server, also where a system check of ours finds it first."""
    apps = f"{app} django_asgi_lifespan_uvicorn django.contrib.staticfiles"
    with runserver(MORE_APPS=apps) as server:
        wait_until_watching(server)
        change(server, tmp_path, "this is no Python")
        server.until(lambda: "SyntaxError" in server.output(), "the error")
        change(server, tmp_path, "")
        wait_until_watching(server, times=2)
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED] * 2


def test_a_project_that_cannot_be_set_up_can_be_stopped(runserver: Start, tmp_path: Path) -> None:
    """Django falls back to its own runserver in the process that was to serve."""
    with runserver() as server:
        wait_until_watching(server)
        (tmp_path / "changing" / "models.py").write_text("this is no Python")
        change(server, tmp_path, "")
        server.until(lambda: "SyntaxError" in server.output(), "the error")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


def test_without_the_reloader_a_failed_startup_ends(runserver: Start) -> None:
    """With 3, as under uvicorn's command."""
    with runserver("--noreload", CACHE_OPENING="fail") as server:
        assert server.wait() == 3
        assert "tries again" not in server.output()


@pytest.mark.parametrize("kind", ["none", "root", "elsewhere", "others", "critical"])
def test_a_failed_startup_says_why_once(runserver: Start, kind: str) -> None:
    """No matter how the project configures logging."""
    with runserver("--noreload", CACHE_OPENING="fail", LOGGING=kind) as server:
        assert server.wait() == 3
        assert server.output().count(TRACEBACK) == 1
        assert "cache failed to start: RuntimeError: cache failed in opening" in server.output()


def test_a_port_in_use_is_djangos_error(runserver: Start) -> None:
    """Nothing is started up."""
    with (
        socket.create_server((HOST, 0)) as taken,
        runserver(address=str(taken.getsockname()[1])) as server,
    ):
        assert server.wait() == 1
        assert "Error: That port is already in use." in server.output()
        assert server.story() == []


@pytest.mark.parametrize(
    ("options", "debug", "status"),
    [([], "yes", 200), (["--nostatic"], "yes", 404), ([], "no", 404), (["--insecure"], "no", 200)],
)
def test_static_files(runserver: Start, options: list[str], debug: str, status: int) -> None:
    """As ``django.contrib.staticfiles`` serves them, with its options."""
    apps = "django_asgi_lifespan_uvicorn django.contrib.staticfiles django.contrib.admin"
    more = "django.contrib.auth django.contrib.contenttypes django.contrib.messages"
    with runserver(
        "--noreload", "--skip-checks", *options, MORE_APPS=f"{apps} {more}", DEBUG=debug
    ) as server:
        server.wait_until_serving()
        assert server.get("/static/admin/css/base.css").status == status


def test_without_the_static_files_app_there_are_no_such_options(runserver: Start) -> None:
    """The rest is the same."""
    apps = "django_asgi_lifespan_uvicorn"
    with runserver("--nostatic", MORE_APPS=apps) as server:
        assert server.wait() == 2
        assert "unrecognized arguments: --nostatic" in server.output()


def test_the_order_of_the_apps_is_checked(runserver: Start) -> None:
    """A project with the adapter after the static files learns of it, and of the remedy."""
    apps = "django.contrib.staticfiles django_asgi_lifespan_uvicorn"
    with runserver("--noreload", MORE_APPS=apps) as server:
        assert server.wait() == 1
        assert "(django_asgi_lifespan_uvicorn.E001) runserver is the command of" in server.output()
        assert "put 'django_asgi_lifespan_uvicorn' before 'django.contrib" in server.output()


def test_a_command_that_is_built_on_this_one_may_come_first(
    runserver: Start, tmp_path: Path
) -> None:
    """As WhiteNoise has one, which switches static files off."""
    commands = tmp_path / "wrapping" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "runserver.py").write_text(
        "from django_asgi_lifespan_uvicorn.management.commands.runserver import Command as Ours\n"
        "class Command(Ours):\n"
        "    pass\n"
    )
    with runserver("--noreload", MORE_APPS="wrapping django_asgi_lifespan_uvicorn") as server:
        server.wait_for("search open")


@pytest.mark.parametrize("arguments", [["-6"], []], ids=["-6", "[::1]"])
def test_ipv6(runserver: Start, arguments: list[str]) -> None:
    """By the option, or by the address."""
    address = "{port}" if arguments else "[::1]:{port}"
    with runserver("--noreload", *arguments, address=address) as server:
        server.wait_for("search open")
        connection = http.client.HTTPConnection("::1", server.port, timeout=30)
        connection.request("GET", "/async/", headers={"Host": HOST})
        assert connection.getresponse().status == 200
        connection.close()
        assert f"development server at http://[::1]:{server.port}/" in server.output()


def test_nothreading_serves_one_request_after_the_other(runserver: Start) -> None:
    """The second is answered when the first one is."""
    with runserver("--noreload", "--nothreading") as server:
        server.wait_until_serving()
        first = server.send("/held/")
        server.wait_for("request held")
        second = server.send("/async/")
        answered = threading.Event()

        def wait_for_the_second() -> None:
            assert second.answer() == FOUND
            answered.set()

        waiting = threading.Thread(target=wait_for_the_second)
        waiting.start()
        assert not answered.wait(0.3)
        server.release("request")
        assert first.answer() == FOUND
        waiting.join()
        assert answered.is_set()


def test_an_application_without_lifespan_is_served_and_named(runserver: Start) -> None:
    """With the remedy."""
    with runserver("--noreload", ASGI_APPLICATION="project.plain_asgi.application") as server:
        server.wait_until_serving()
        assert server.get("/nothing/").status == 404
        assert "The application does not speak the lifespan protocol." in server.output()


def test_an_application_that_is_not_there_is_named(runserver: Start) -> None:
    """With the setting that names it."""
    with runserver("--noreload", ASGI_APPLICATION="project.nowhere.application") as server:
        assert server.wait() == 1
        assert "ASGI_APPLICATION is 'project.nowhere.application'" in server.output()


def test_a_thread_that_never_ends_does_not_hold_up_the_stop(runserver: Start) -> None:
    """Everything that can be closed is closed."""
    with runserver() as server:
        wait_until_watching(server)
        server.send("/stuck/")
        server.wait_for("request stuck")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request stuck", *STOPPED]


HANGING = {
    "in the event loop": "await asyncio.Event().wait()",
    "in a thread": "await asyncio.to_thread(threading.Event().wait)",
    "against its cancellation": "await deaf()",
    "in a synchronous resource": "",
    "as a blocked event loop": "threading.Event().wait()",
}
HANGS = """
import asyncio, contextlib, threading
from django_asgi_lifespan import resource
from testkit import journal

@resource
async def supplier():
    journal.write("supplier", "opening")
    {body}
    yield

async def deaf():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
"""
HANGS_IN_A_THREAD = """
import threading
from django_asgi_lifespan import resource
from testkit import journal

@resource
def supplier():
    journal.write("supplier", "opening")
    threading.Event().wait()
    yield
"""


@pytest.mark.parametrize(
    ("stop", "how"),
    [
        *(("Ctrl+C", how) for how in HANGING),
        ("SIGTERM", "in the event loop"),
        ("SIGTERM", "as a blocked event loop"),
        ("a changed file", "in a thread"),
        ("a changed file", "as a blocked event loop"),
    ],
)
def test_a_startup_that_hangs_can_be_stopped(
    runserver: Start, tmp_path: Path, how: str, stop: str
) -> None:
    """By the first OS signal or change, and everything that can be closed is closed."""
    body = HANGING[how]
    content = HANGS.replace("{body}", body) if body else HANGS_IN_A_THREAD
    (tmp_path / "changing" / "lifespan.py").write_text(content)
    with runserver(SHUTDOWN_TIMEOUT="1") as server:
        server.wait_for("supplier opening")
        if stop == "a changed file":
            change(server, tmp_path, "")
            server.wait_for("search open", times=1 if "blocked" in how else 2)
            server.stop("Ctrl+C")
            assert server.wait() == 0
        else:
            server.stop(stop)
            assert server.wait() == (1 if "blocked" in how else 0)
            assert "pool closed" in server.story() or "blocked" in how
        assert TRACEBACK not in server.output()


def test_a_startup_is_interrupted_without_the_reloader(runserver: Start) -> None:
    """By the first Ctrl+C."""
    with runserver("--noreload", CACHE_OPENING="stuck") as server:
        server.wait_for("cache stuck")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.story() == [*STARTED[:3], "cache stuck", "cache cancelled", *STOPPED[4:]]


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT"])
def test_other_os_signals_to_the_parent_close_as_well(runserver: Start, name: str) -> None:
    """No child is left behind, as when a terminal is closed."""
    with runserver() as server:
        wait_until_watching(server)
        server.stop(name)
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


def test_a_drain_delay_is_not_for_developers(runserver: Start) -> None:
    """SIGTERM stops the server at once."""
    with runserver("--noreload", DRAIN_DELAY="20") as server:
        wait_until_watching(server)
        begun = time.monotonic()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert time.monotonic() - begun < 20
        assert server.story() == [*STARTED, *STOPPED]
