"""The command: what a real process does when it is started, fails and is stopped."""

from __future__ import annotations

import http.client
import signal
import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from testkit.client import HOST
from testkit.processes import Process
from testkit.stories import STARTED, STOPPED, TRACEBACK

from .conftest import CANCELS_QUIETLY, Setup, Start

pytestmark = pytest.mark.process


@pytest.fixture(params=["1", "2"], ids=["1 process", "2 workers"])
def workers(request: pytest.FixtureRequest) -> str:
    """The number of processes that serve."""
    return str(request.param)


def hold_a_request(server: Process) -> http.client.HTTPConnection:
    """Return a request in flight, when every process serves."""
    server.wait_until_serving()
    request = server.send("/held/")
    server.wait_for("request held")
    return request


def lifespans(server: Process, *, of: int) -> list[list[str]]:
    """Return the story of each of so many processes, without what happened to requests."""
    stories = server.stories()
    assert len(stories) == of, stories
    return [[event for event in story if not event.startswith("request")] for story in stories]


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_a_stop_ends_with_0_and_runs_the_exit_handlers(
    command: Start, setup: Setup, stop: str
) -> None:
    """The request in flight is answered, resources close, and Python ends as it should."""
    count, options = setup
    with command("chain", *options, asgi="noted_asgi") as server:
        server.wait_for("search open", times=count)
        request = hold_a_request(server)
        server.stop(stop)
        server.wait_until_refusing()
        server.release("request")
        assert request.answer().status == 200
        assert server.wait() == 0
        assert lifespans(server, of=count) == [[*STARTED, *STOPPED, "process exited"]] * count
        assert TRACEBACK not in server.output()


def test_os_signals_do_not_cut_the_exit_handlers_short(command: Start, setup: Setup) -> None:
    """Neither an impatient Ctrl+C nor the SIGTERM of a supervisor that is slower than Ctrl+C."""
    count, options = setup
    with command("chain", *options, asgi="noted_asgi", EXITING="blocked") as server:
        server.wait_for("search open", times=count)
        server.wait_until_serving()
        server.stop("Ctrl+C")
        server.wait_for("process blocked", times=count)
        server.stop_group("SIGTERM")
        server.stop("Ctrl+C")
        server.release("process", times=count)
        assert server.wait() == 0
        ended = ["process blocked", "process exited"]
        assert lifespans(server, of=count) == [[*STARTED, *STOPPED, *ended]] * count
        assert TRACEBACK not in server.output()


def test_sigterm_and_sigint_together_are_one_stop(command: Start, setup: Setup) -> None:
    """A program that forwards SIGTERM at Ctrl+C does not make it a forced exit."""
    count, options = setup
    with command("chain", *options) as server:
        server.wait_for("search open", times=count)
        request = hold_a_request(server)
        server.stop_group("SIGTERM")
        server.stop_group("SIGINT")
        server.wait_until_refusing()
        server.release("request")
        assert request.answer().status == 200
        assert server.wait() == 0
        assert lifespans(server, of=count) == [[*STARTED, *STOPPED]] * count


@pytest.mark.parametrize("first", ["SIGTERM", "Ctrl+C"])
def test_a_real_second_ctrl_c_gives_up_requests_alone(
    command: Start, setup: Setup, first: str
) -> None:
    """The client is cut off, the view is cancelled, and the resources close all the same."""
    count, options = setup
    with command("chain", *options) as server:
        server.wait_for("search open", times=count)
        request = hold_a_request(server)
        server.stop(first)
        server.wait_until_refusing()
        server.hurry("Giving up requests in flight: 1.")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            request.answer()
        assert server.wait() == 0
        assert lifespans(server, of=count) == [[*STARTED, *STOPPED]] * count
        assert "unsupported" not in server.output()
        assert TRACEBACK not in server.output() or not CANCELS_QUIETLY


@pytest.mark.parametrize("stop", ["SIGTERM", "Ctrl+C"])
def test_a_stop_interrupts_the_startup(command: Start, setup: Setup, stop: str) -> None:
    """At once, and with exit code 0: the open resources close, and the log names the others."""
    count, options = setup
    with command("chain", *options, CACHE_OPENING="stuck") as server:
        server.wait_for("cache stuck", times=count)
        server.stop(stop)
        assert server.wait() == 0
        interrupted = ["cache stuck", "cache cancelled"]
        assert server.stories() == [[*STARTED[:3], *interrupted, *STOPPED[4:]]] * count
        told = "Told to stop while the application starts up: it is interrupted."
        assert server.output().count(told) == count
        assert TRACEBACK not in server.output()


def test_an_interrupted_worker_is_replaced(command: Start) -> None:
    """The startup has not failed, and the server goes on."""
    with command("chain", "--workers", "2", CACHE_OPENING="held") as server:
        server.wait_for("cache held", times=2)
        server.stop_worker("SIGTERM")
        server.wait_for("cache held", times=3)
        server.open_gate("cache")
        server.wait_for("search open", times=2)
        assert server.get("/async/").status == 200
        server.stop("SIGTERM")
        assert server.wait() == 0


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGHUP"])
def test_other_os_signals_stop_a_process_as_well(command: Start, name: str) -> None:
    """They would have killed it."""
    with command("chain") as server:
        server.wait_until_serving()
        server.stop(name)
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


def test_sigquit_stops_a_supervisor_and_its_workers(command: Start) -> None:
    """The one of uvicorn ignores it."""
    with command("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        server.stop("SIGQUIT")
        assert server.wait() == 0
        assert server.stories() == [[*STARTED, *STOPPED]] * 2


def test_sighup_replaces_the_workers_one_after_the_other(command: Start) -> None:
    """Each new one starts up before the old one shuts down, and all of them close."""
    with command("chain", "--workers", "2", "--timeout-worker-healthcheck", "60") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop("SIGHUP")
        server.wait_for("pool closed", times=2)
        server.wait_for("search open", times=4)
        assert server.get("/async/").status == 200
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert lifespans(server, of=4) == [[*STARTED, *STOPPED]] * 4


def test_workers_close_when_their_supervisor_is_killed(command: Start, loop: str) -> None:
    """They notice, and nobody is left to serve."""
    with command("chain", "--loop", loop, "--workers", "2") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop("SIGKILL")
        assert server.wait() == -signal.SIGKILL
        server.wait_for("pool closed", times=2, alive=False)
        assert server.stories() == [[*STARTED, *STOPPED]] * 2
        assert not server.accepts()


def test_nobody_can_connect_while_workers_shut_down(command: Start) -> None:
    """The supervisor does not keep the port open."""
    with command("chain", "--workers", "2", CACHE_CLOSING="held") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop("SIGTERM")
        server.wait_for("cache held", times=2)
        assert not server.accepts()


def test_a_failed_startup_ends_with_3(command: Start, workers: str) -> None:
    """No worker is started again, nobody was served, and each says why once."""
    count = int(workers)
    with command("chain", "--workers", workers, CACHE_OPENING="fail") as server:
        assert server.wait() == 3
        assert server.stories() == [[*STARTED[:3], *STOPPED[4:]]] * count
        reason = "ERROR:    cache failed to start: RuntimeError: cache failed in opening"
        assert server.output().splitlines().count(reason) == count
        assert server.output().count(TRACEBACK) == count


def test_a_startup_that_ignores_its_cancellation_ends_with_3(command: Start) -> None:
    """It is abandoned, and no worker is started in the place of one that has such a startup."""
    environment = {"CACHE_OPENING": "deaf", "STARTUP_TIMEOUT": "1"}
    with command("chain", "--workers", "2", **environment) as server:
        assert server.wait() == 3
        stories = [[each for each in story if "pool" in each] for story in server.stories()]
        assert stories == [[*STARTED[:2], *STOPPED[4:]]] * 2


def test_an_application_that_cannot_be_imported_ends_with_3(command: Start, workers: str) -> None:
    """Else a worker would be started again, for ever."""
    with command("chain", "--workers", workers, asgi="broken_asgi") as server:
        assert server.wait() == 3
        assert server.output().count("LookupError: broken on purpose") == int(workers)
        assert server.output().count("ERROR:    The application cannot be loaded.") == int(workers)


def test_an_application_without_lifespan_ends_with_3(command: Start) -> None:
    """With the remedy in the log: who takes this command wants a lifespan."""
    with command("chain", asgi="plain_asgi") as server:
        assert server.wait() == 3
        assert "import get_asgi_application from django_asgi_lifespan.asgi" in server.output()


def test_a_failed_shutdown_ends_with_1(command: Start, workers: str) -> None:
    """Everything else is closed, and whoever looks at the exit code learns of it."""
    with command("chain", "--workers", workers, CACHE_CLOSING="fail") as server:
        server.wait_for("search open", times=int(workers))
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 1
        closed = [event for event in STOPPED if event != "cache closed"]
        assert server.stories() == [[*STARTED, *closed]] * int(workers)


def test_a_port_in_use_starts_nothing(command: Start, setup: Setup) -> None:
    """The error names the address, and the exit code is 3."""
    _, options = setup
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        with command("chain", *options, "--port", port) as server:
            assert server.wait() == 3
            assert server.story() == []
            assert "ddress already in use" in server.output()


def test_a_response_without_end_has_its_time(command: Start, setup: Setup) -> None:
    """Then its client is cut off, and its view cleans up while the resources still work."""
    count, options = setup
    with command("chain", *options, "--timeout-graceful-shutdown", "2") as server:
        server.wait_for("search open", times=count)
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        story = next(story for story in server.stories() if "stream open" in story)
        closed = "stream closed with search in cache of pool"
        assert story == [*STARTED, "stream open", closed, *STOPPED]
        assert (
            "INFO:     Waiting at most 2 s for requests in flight: 1 (--timeout-graceful-shutdown)."
            in server.output().splitlines()
        )
        assert TRACEBACK not in server.output() or not CANCELS_QUIETLY


def test_a_stream_that_is_told_of_the_stop_ends_by_itself(command: Start) -> None:
    """The notice comes before uvicorn waits for it."""
    with command("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        request = server.send("/stream/")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert request.answer().content == b"first\nlast\n"
        assert server.wait() == 0


def test_the_limit_of_requests_tells_of_the_stop_too(command: Start) -> None:
    """Whatever the reason, streams are told before they are waited for."""
    with command("chain", "--limit-max-requests", "1") as server:
        server.wait_until_serving()
        request = server.send("/stream/")
        server.wait_for("stream open")
        assert server.get("/async/").status == 200
        assert request.answer().content == b"first\nlast\n"
        assert server.wait() == 0
        assert server.story()[-len(STOPPED) :] == STOPPED


def test_websockets_are_told_that_the_server_restarts(command: Start) -> None:
    """With the close code 1012, after the notice of the stop and before the resources close."""
    with command("sockets", asgi="sockets_asgi") as server:
        server.wait_until_serving()
        with connect(f"ws://{HOST}:{server.port}/") as client:
            assert client.recv() == "hub"
            server.stop("SIGTERM")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        told = ["server stopping", "socket websocket.disconnect"]
        assert server.story() == ["hub open", *told, "hub closed"]


def test_a_reload_closes_what_is_open(command: Start, tmp_path: Path) -> None:
    """Before the next process starts up, even under a response without end; so does the stop."""
    watched = tmp_path / "watched"
    watched.mkdir()
    file = watched / "changing.py"
    file.touch()
    with command("chain", "--reload", "--reload-dir", str(watched)) as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.change(file, lambda: "detected changes in" in server.output())
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop("Ctrl+C")
        assert server.wait() == 0
        stream = ["stream open", "stream closed with search in cache of pool"]
        assert server.story() == [*STARTED, *stream, *STOPPED, *STARTED, *STOPPED]


def test_a_thread_that_never_ends_does_not_hold_up_the_end(command: Start) -> None:
    """Everything that can be closed is, and the exit code tells of the rest."""
    with command("chain", "--timeout-graceful-shutdown", "1") as server:
        server.wait_until_serving()
        server.send("/stuck/")
        server.wait_for("request stuck")
        server.stop("SIGTERM")
        assert server.wait() == 1
        assert server.story() == [*STARTED, "request stuck", *STOPPED]
        assert "ERROR:    The process ends without its threads, which go on: " in server.output()
