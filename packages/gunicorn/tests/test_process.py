"""gunicorn with our worker classes, as real processes that real OS signals stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from testkit.client import DEADLINE, HOST
from testkit.processes import Process
from testkit.stories import FOUND, STARTED, STOPPED

from .conftest import HOOKS, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork()"),
]


def test_requests_in_flight_are_answered_before_anything_closes(gunicorn: Start) -> None:
    """SIGTERM: the worker ends as a process should, its hooks and atexit included."""
    with gunicorn("chain", configuration=HOOKS) as server:
        server.wait_for("search open")
        assert server.get("/sync/") == FOUND
        request = server.send("/held/")
        server.wait_for("request held")
        server.stop("SIGTERM")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() == 0
        assert server.story() == [
            *STARTED,
            "request answered",
            "request held",
            "request answered",
            *STOPPED,
            "hook worker_exit",
            "hook atexit",
        ]


@pytest.mark.parametrize("stop", ["SIGINT", "SIGQUIT", "Ctrl+C"])
def test_quick_stop_closes_in_order(gunicorn: Start, stop: str) -> None:
    """Whether the arbiter alone gets it or every process. gunicorn's hook is called once."""
    with gunicorn("chain", configuration=HOOKS) as server:
        server.wait_for("search open")
        assert server.get("/async/") == FOUND
        server.stop(stop)
        assert server.wait() == 0
        assert [event for event in server.story() if not event.startswith("hook")] == [
            *STARTED,
            "request answered",
            *STOPPED,
        ]
        assert [event for event in server.story() if event.startswith("hook")] == [
            "hook worker_int",
            "hook worker_exit",
            "hook atexit",
        ]


def test_failed_startup_ends_gunicorn(gunicorn: Start) -> None:
    """With exit code 3, without a second attempt, and without an error of the arbiter's own."""
    with gunicorn("chain", "--workers", "3", CACHE_OPENING="fail") as server:
        assert server.wait() == 3
        assert len(server.pids()) <= 3
        story = ["pool opening", "pool open", "cache opening", "pool closing", "pool closed"]
        assert story in server.stories()  # the arbiter may interrupt the startup of another one
        assert server.story().count("pool open") == server.story().count("pool closed")
        assert "Reason: Worker failed to boot." in server.output()
        assert "raise HaltServer" not in server.output()


def test_system_exit_while_the_application_is_loaded_ends_gunicorn(gunicorn: Start) -> None:
    """Without our class it would start one worker after the other."""
    with gunicorn("chain", "--workers", "2", asgi="exiting_asgi") as server:
        assert server.wait() == 3
        assert len(server.pids()) <= 2
        assert "The application cannot be loaded: it raised SystemExit(7)" in server.output()


@pytest.mark.parametrize("word", ["stuck", "deaf"])
def test_resource_that_never_closes_does_not_keep_the_others_open(
    gunicorn: Start, word: str
) -> None:
    """It is named and cancelled before the arbiter kills, and its requirements are closed.

    The worker does not wait for it, even if it ignores its cancellation.
    """
    with gunicorn(
        "chain", "--graceful-timeout", "4", configuration=HOOKS, CACHE_CLOSING=word
    ) as server:
        server.wait_for("search open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        told = {"cache stuck", "cache cancelled"}
        story = [event for event in server.story() if event not in told]
        ended = ["hook worker_exit", "hook atexit"]
        assert story == [*STARTED, *STOPPED[:3], *STOPPED[4:], *ended]
        assert "graceful_timeout of 4 s leaves no more time" in server.output()
        assert "SIGKILL" not in server.output()


def test_what_takes_longer_than_the_timeout_is_left_alone(gunicorn: Start) -> None:
    """No startup, request in flight or shutdown is taken for a hung worker, even if it blocks."""
    with gunicorn(
        "chain",
        *("--timeout", "1", "--max-requests", "2"),
        CACHE_OPENING="blocked",
        CACHE_CLOSING="blocked",
    ) as server:
        server.wait_for("cache blocked")
        pass_time(server, 2.5)
        server.release("cache")
        server.wait_for("search open")
        request = server.send("/held/")
        server.wait_for("request held")
        assert server.get("/async/") == FOUND
        pass_time(server, 2.5)
        server.release("request")
        assert request.answer() == FOUND
        server.wait_for("cache blocked", times=2)
        pass_time(server, 2.5)
        server.release("cache")
        server.wait_for("pool closed")
        assert server.stories()[0] == [
            *STARTED[:3],
            "cache blocked",
            *STARTED[3:],
            "request held",
            "request answered",
            "request answered",
            *STOPPED[:3],
            "cache blocked",
            *STOPPED[3:],
        ]
        assert "WORKER TIMEOUT" not in server.output()


def pass_time(server: Process, seconds: float) -> None:
    """Return when so much time has passed, in which the arbiter could have killed."""
    end = time.monotonic() + seconds
    server.until(lambda: time.monotonic() > end, f"{seconds} s to pass")


def test_open_websocket_is_told_of_a_quick_stop(gunicorn: Start) -> None:
    """The notice comes first, the client is told 1012, and then everything closes."""
    with gunicorn("sockets", asgi="sockets_asgi") as server:
        server.wait_for("hub open")
        with connect(f"ws://{HOST}:{server.port}/", open_timeout=DEADLINE) as client:
            assert client.recv(DEADLINE) == "hub"
            server.stop("SIGINT")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        assert server.story() == [
            "hub open",
            "server stopping",
            "socket websocket.disconnect",
            "hub closed",
        ]


def test_stop_while_the_application_is_loaded_starts_nothing(gunicorn: Start) -> None:
    """Also of one that comes before the event loop runs."""
    with gunicorn("chain", asgi="slow_asgi") as server:
        server.wait_for("import blocked")
        server.stop("SIGTERM")
        os.kill(server.pids()[0], signal.SIGTERM)  # so that it is there when the import goes on
        server.release("import")
        assert server.wait() == 0
        assert server.story() == ["import blocked"]


def test_workers_come_and_go(gunicorn: Start) -> None:
    """SIGTTIN starts one, SIGTTOU stops one, SIGHUP replaces all. Each closes its resources."""
    with gunicorn("chain", "--preload") as server:
        server.wait_for("search open")
        server.stop("SIGTTIN")
        server.wait_for("search open", times=2)
        server.stop("SIGTTOU")
        server.wait_for("pool closed")
        server.stop("SIGHUP")
        server.wait_for("search open", times=3)
        server.wait_for("pool closed", times=2)
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.stories() == [
            [*STARTED, *STOPPED],
            [*STARTED, *STOPPED],
            [*STARTED, "request answered", *STOPPED],
        ]


@pytest.mark.parametrize("worker", ["LifespanWorker"])
def test_closed_terminal_closes_everything(gunicorn: Start) -> None:
    """It sends SIGHUP to the workers, too, of which the arbiter starts new ones."""
    with gunicorn("chain") as server:
        server.wait_for("search open")
        os.kill(server.pids()[0], signal.SIGHUP)
        server.wait_for("search open", times=2)
        assert server.stories()[0] == [*STARTED, *STOPPED]


@pytest.mark.parametrize("worker", [""])
def test_configuration_file_alone_will_do(gunicorn: Start) -> None:
    """It can name the worker class, or change one."""
    configuration = """
from django_asgi_lifespan_gunicorn import NativeLifespanWorker

class worker_class(NativeLifespanWorker):
    quick_timeout = 0
"""
    with gunicorn("sockets", asgi="sockets_asgi", configuration=configuration) as server:
        server.wait_for("hub open")
        server.send("/held/")
        server.wait_for("request held")
        server.stop("SIGINT")
        server.wait_for("hub closed")
        times = {f"{entry.subject} {entry.event}": entry.time for entry in server.journal()}
        assert times["request cancelled"] - times["server stopping"] < 2
        assert server.wait() == 0


def test_changed_file_ends_one_lifespan_and_begins_the_next(
    gunicorn: Start, tmp_path: Path
) -> None:
    """--reload, under which gunicorn looks at its files once a second."""
    file = tmp_path / "watched.txt"
    file.touch()
    with gunicorn("chain", "--reload", "--reload-extra-file", str(file)) as server:
        server.wait_for("search open")
        server.change(file, lambda: "search closing" in server.story())
        server.wait_for("search open", times=2)
        assert server.get("/async/") == FOUND
        assert server.stories()[0] == [*STARTED, *STOPPED]


@pytest.mark.parametrize("worker", ["LifespanWorker"])  # gunicorn's own does not watch the file
def test_syntax_error_is_waited_out_under_reload(gunicorn: Start, tmp_path: Path) -> None:
    """The worker answers with errors until the file changes."""
    file = tmp_path / "changing" / "asgi.py"
    file.parent.mkdir()
    file.write_text("this is no Python")
    with gunicorn("chain", "--reload", asgi="changing.asgi", PYTHONPATH=str(tmp_path)) as server:
        server.wait_until_serving()
        assert server.get("/async/").status == 500
        file.write_text("from project.asgi import application")
        server.change(file, lambda: "search open" in server.story())
        assert server.get("/async/") == FOUND
