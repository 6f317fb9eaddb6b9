"""``manage.py runserver``: daphne's own with the hooks, and that of the adapter's Django app."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from testkit.client import DEADLINE, HOST, Answer
from testkit.processes import Process
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK, held

from .conftest import Start

pytestmark = pytest.mark.process

OURS = "django_asgi_lifespan_daphne daphne"
ROOMS = {"DJANGO_APP": "rooms", "ASGI": "rooms.asgi"}
FAILING = """
from django_asgi_lifespan import resource

@resource
async def supplier():
    raise LookupError("nobody there")
    yield
"""

BLOCKING = """
import threading
from django_asgi_lifespan import resource
from testkit import journal

@resource
async def supplier():
    journal.write("supplier", "opening")
    threading.Event().wait()
    yield
"""

IMPORTED_SLOWLY = """
import os
from testkit import gates

if "RUN_MAIN" in os.environ:  # Django sets it in the process that serves
    gates.block("import")
"""


@pytest.fixture(params=["daphne", OURS], ids=["daphne's", "ours"])
def apps(request: pytest.FixtureRequest) -> str:
    """The Django apps that decide whose ``runserver`` it is."""
    return str(request.param)


def change(server: Process, folder: Path, content: str = "") -> None:
    """Write *content* into a module, and make it newer until the reloader has noticed."""
    file = folder / "changing" / "lifespan.py"
    file.write_text(content)
    before = server.output().count("changed, reloading.")
    server.change(file, lambda: server.output().count("changed, reloading.") > before)


def interrupt(server: Process, apps: str) -> None:
    """Press Ctrl+C; where it is daphne's, only the child gets it, which Django would kill."""
    if apps == OURS:
        server.stop("Ctrl+C")
    else:
        os.kill(server.pids()[-1], signal.SIGINT)


@pytest.mark.parametrize("options", [[], ["--noreload"]], ids=["reloader", "noreload"])
def test_it_looks_like_daphnes_and_closes(
    runserver: Start, options: list[str], tmp_path: Path
) -> None:
    """Static files are served, as ever, and the state is in every request."""
    (tmp_path / "changing" / "static").mkdir()
    (tmp_path / "changing" / "static" / "site.css").write_text("body {}")
    with runserver(*options, apps="daphne django.contrib.staticfiles") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        assert server.get("/sync/") == FOUND
        assert server.get("/static/site.css") == Answer(200, b"body {}")
        interrupt(server, "daphne")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *["request answered"] * 2, *STOPPED]
        assert re.search(
            r"^Starting ASGI/Daphne version .* development", server.output(), re.MULTILINE
        )
        assert TRACEBACK not in server.output()


def test_a_reload_closes_before_it_starts_anew(runserver: Start, apps: str, tmp_path: Path) -> None:
    """A stream without end and an open WebSocket do not hold it up, nor the stop.

    Python has not yet shut down the executors, so that resources may close in threads.
    """
    with runserver(apps=apps, HUB_CLOSING="thread", **ROOMS) as server:
        for times in (1, 2):
            server.wait_for("hub open", times=times)
            server.wait_until_serving()
            server.send("/stream/")
            server.wait_for("stream held", times=times)
            with connect(f"ws://{HOST}:{server.port}/", open_timeout=DEADLINE) as client:
                assert client.recv(DEADLINE) == "hub hub"
                if times == 1:
                    change(server, tmp_path)
                else:
                    interrupt(server, apps)
                with pytest.raises(ConnectionClosed) as closed:
                    client.recv(DEADLINE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        assert [sorted(story) for story in server.stories()] == [
            sorted(
                [
                    "hub open",
                    "stream held",
                    "server stopping",
                    "room left with 1012 and hub",
                    "stream closed with hub",
                    "hub in a thread",
                    "hub closed",
                ]
            )
        ] * 2
        for story in server.stories():
            assert (story[0], story[-1]) == ("hub open", "hub closed")
        assert TRACEBACK not in server.output()


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT", "Ctrl+C"])
def test_closing_may_take_its_time(runserver: Start, stop: str) -> None:
    """Django's reloader would kill the process at once, or a quarter of a second after Ctrl+C."""
    with runserver(apps=OURS, CACHE_CLOSING="held") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.stop(stop)
        server.wait_for("cache held")
        server.stop(stop)
        later = time.monotonic() + 0.7
        server.until(lambda: time.monotonic() > later, "more time than Django gives")
        server.release("cache")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *held(STOPPED, at="cache closing")]
        assert TRACEBACK not in server.output()


def test_a_failed_startup_waits_for_the_next_change(
    runserver: Start, apps: str, tmp_path: Path
) -> None:
    """The reason is shown once, and when it is mended the server serves."""
    (tmp_path / "changing" / "lifespan.py").write_text(FAILING)
    with runserver(apps=apps) as server:
        server.wait_for("pool closed")
        server.wait_until_refusing()
        reason = "Application startup failed: supplier failed to start: LookupError: nobody there"
        server.until(lambda: reason in server.output(), "the reason")
        assert server.output().count(TRACEBACK) == 1
        change(server, tmp_path)
        server.wait_for("search open")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        interrupt(server, apps)
        assert server.wait() == 0
        assert server.stories()[1] == [*STARTED, "request answered", *STOPPED]


def test_a_failed_startup_without_the_reloader_ends_with_3(runserver: Start) -> None:
    """The reason is in the log."""
    with runserver("--noreload", apps=OURS, CACHE_OPENING="fail") as server:
        assert server.wait() == 3
        assert server.story() == [*STARTED[:3], *STOPPED[4:]]


@pytest.mark.parametrize("kind", ["none", "root", "elsewhere", "others", "filtered", "critical"])
def test_a_failed_startup_says_why_once(runserver: Start, apps: str, kind: str) -> None:
    """No matter how the project configures logging."""
    with runserver("--noreload", apps=apps, CACHE_OPENING="fail", LOGGING=kind) as server:
        assert server.wait() == (3 if apps == OURS else 0)
        assert server.output().count(TRACEBACK) == 1
        assert "cache failed to start: RuntimeError: cache failed in opening" in server.output()


@pytest.mark.parametrize("stop", ["Ctrl+C", "SIGTERM", "SIGHUP", "SIGQUIT"])
@pytest.mark.parametrize("options", [[], ["--noreload"]], ids=["reloader", "noreload"])
def test_stop_during_the_startup_closes_the_open_resources(
    runserver: Start, options: list[str], stop: str
) -> None:
    """The startup is interrupted, and the log names the resource that was pending."""
    with runserver(*options, apps=OURS, CACHE_OPENING="stuck") as server:
        server.wait_for("cache stuck")
        server.stop(stop)
        assert server.wait() == 0
        assert server.story() == [*STARTED[:3], "cache stuck", "cache cancelled", *STOPPED[4:]]
        assert "The startup is interrupted, waiting for: cache" in server.output()


def test_a_changed_file_interrupts_the_startup(runserver: Start, tmp_path: Path) -> None:
    """The next process starts anew."""
    with runserver(apps=OURS, CACHE_OPENING="held") as server:
        server.wait_for("cache held")
        change(server, tmp_path)
        server.wait_for("cache held", times=2)
        server.release("cache")
        server.wait_for("search open")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.stories() == [
            [*STARTED[:3], "cache held", "cache cancelled", *STOPPED[4:]],
            [*held(STARTED, at="cache opening"), *STOPPED],
        ]


def test_code_that_blocks_the_event_loop_holds_up_no_reload(
    runserver: Start, apps: str, tmp_path: Path
) -> None:
    """The process ends without closing, says so, and the next one starts."""
    (tmp_path / "changing" / "lifespan.py").write_text(BLOCKING)
    with runserver(apps=apps) as server:
        server.wait_for("supplier opening")
        change(server, tmp_path)
        server.wait_for("search open")
        assert "Code blocks the event loop." in server.output()
        interrupt(server, apps)
        server.wait()
        assert server.story()[-1] == "pool closed"


def test_code_that_blocks_the_event_loop_holds_up_no_stop(runserver: Start, tmp_path: Path) -> None:
    """The exit code tells that resources were left open."""
    (tmp_path / "changing" / "lifespan.py").write_text(BLOCKING)
    with runserver(apps=OURS) as server:
        server.wait_for("supplier opening")
        server.stop("Ctrl+C")
        assert server.wait() == 1


@pytest.mark.parametrize("stop", ["SIGHUP", "SIGQUIT", "SIGKILL"])
def test_no_child_is_left_behind(runserver: Start, stop: str) -> None:
    """When the terminal is closed, or when nothing but the parent is killed."""
    with runserver(apps=OURS) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.stop(stop)
        server.wait_for("pool closed", alive=False)
        assert server.wait() == (-signal.SIGKILL if stop == "SIGKILL" else 0)
        server.until(lambda: not server.accepts(), "a closed port", alive=False)
        assert server.story() == [*STARTED, *STOPPED]


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_stop_while_the_project_is_imported_starts_nothing(
    runserver: Start, stop: str, tmp_path: Path
) -> None:
    """There is nothing to close."""
    (tmp_path / "changing" / "__init__.py").write_text(IMPORTED_SLOWLY)
    with runserver(apps=OURS) as server:
        server.wait_for("import blocked")
        server.stop(stop)
        assert server.wait() == 0
        assert server.story() == ["import blocked"]


def test_noasgi_is_djangos_own(runserver: Start) -> None:
    """WSGI has no lifespan."""
    with runserver("--noasgi", "--noreload", apps=OURS) as server:
        server.wait_until_serving()
        assert server.get("/nothing/").status == 404
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.story() == []
