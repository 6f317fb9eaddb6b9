"""The command: a real process is started, fails and is stopped."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import Process
from testkit.stories import STARTED, STOPPED, TRACEBACK, held

from .conftest import CANCELS_QUIETLY, Setup, Start

pytestmark = pytest.mark.process

INTERRUPTED = [*STARTED[:3], "cache held", "cache cancelled", *STOPPED[4:]]


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


@contextlib.contextmanager
def restarting(command: Start, *, limit: int) -> Generator[Process]:
    """Yield a server of two workers whose first new one, upon SIGHUP, is held at its startup."""
    options = ["--workers", "2", "--timeout-worker-healthcheck", str(limit)]
    with command("chain", *options, CACHE_OPENING="held") as server:
        server.release("cache", times=2)
        server.wait_for("search open", times=2)
        server.stop("SIGHUP")
        yield server


def lifespans(server: Process, *, of: int) -> list[list[str]]:
    """Return the story of each of so many processes, without the events of requests."""
    stories = server.stories()
    assert len(stories) == of, stories
    return [[event for event in story if not event.startswith("request")] for story in stories]


def test_a_stop_runs_the_exit_handlers(command: Start, setup: Setup) -> None:
    """Python ends as it should."""
    count, options = setup
    with command("chain", *options, asgi="noted_asgi") as server:
        server.wait_for("search open", times=count)
        server.wait_until_serving()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert lifespans(server, of=count) == [[*STARTED, *STOPPED, "process exited"]] * count


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
        server.wait_until_serving()
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


def test_a_new_worker_that_does_not_start_up_closes(command: Start) -> None:
    """The restart ends, and the worker that was to be replaced keeps serving."""
    with restarting(command, limit=10) as server:
        server.wait_for("pool closed")
        server.wait_for_output("New worker .* did not start up within 10 s")
        assert server.get("/async/").status == 200
        server.stop("SIGTERM")
        assert server.wait() == 0
        whole = held([*STARTED, *STOPPED], at="cache opening")
        assert lifespans(server, of=3) == [whole, whole, INTERRUPTED]


def test_a_new_worker_that_ends_at_once_is_not_waited_for(command: Start) -> None:
    """The restart ends, the log says so, and the worker that was to be replaced keeps serving."""
    with restarting(command, limit=60) as server:
        server.wait_for("cache held", times=3)
        server.stop_worker("SIGKILL", 2)
        server.wait_for_output("New worker .* ended with exit code -9. Worker .* keeps serving")
        assert server.get("/async/").status == 200
        server.stop("SIGTERM")
        assert server.wait() == 0


def test_a_stop_during_a_restart_closes_the_new_worker(command: Start) -> None:
    """It does not wait until the new one has started up."""
    with restarting(command, limit=60) as server:
        server.wait_for("cache held", times=3)
        server.stop("SIGTERM")
        assert server.wait() == 0
        whole = held([*STARTED, *STOPPED], at="cache opening")
        assert lifespans(server, of=3) == [whole, whole, INTERRUPTED]
        assert "did not start up" not in server.output()


def test_nobody_can_connect_while_workers_shut_down(command: Start) -> None:
    """The supervisor does not keep the port open."""
    with command("chain", "--workers", "2", CACHE_CLOSING="held") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop("SIGTERM")
        server.wait_for("cache held", times=2)
        assert not server.accepts()


def test_a_startup_that_ignores_its_cancellation_ends_with_3(command: Start) -> None:
    """It is abandoned, and no worker is started in the place of one that has such a startup."""
    environment = {"CACHE_OPENING": "deaf", "STARTUP_TIMEOUT": "1"}
    with command("chain", "--workers", "2", **environment) as server:
        assert server.wait() == 3
        stories = [[each for each in story if "pool" in each] for story in server.stories()]
        pool = [*STARTED[:2], *STOPPED[4:]]
        # The supervisor may stop the other worker before it has opened anything.
        assert [story for story in stories if story] in ([pool], [pool, pool])


def test_an_application_that_cannot_be_imported_ends_with_3(command: Start, workers: str) -> None:
    """Else a worker would be started again, for ever."""
    with command("chain", "--workers", workers, asgi="broken_asgi") as server:
        assert server.wait() == 3
        output = server.output()
        failures = output.count("ERROR:    The application cannot be loaded.")
        # The supervisor may stop the other worker before it has said so, too.
        assert 1 <= failures <= int(workers)
        assert output.count("LookupError: broken on purpose") == failures


def test_an_application_without_lifespan_ends_with_3(command: Start) -> None:
    """With the remedy in the log: who takes this command wants a lifespan."""
    with command("chain", asgi="plain_asgi") as server:
        assert server.wait() == 3
        assert "import get_asgi_application from django_asgi_lifespan.asgi" in server.output()


def test_a_port_in_use_starts_nothing(command: Start, setup: Setup) -> None:
    """The error names the address, and the exit code is 3."""
    _, options = setup
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        with command("chain", *options, "--port", port) as server:
            assert server.wait() == 3
            assert server.story() == []
            assert "ddress already in use" in server.output()


def test_a_response_without_end_has_its_time(command: Start) -> None:
    """The log names the option that limits it."""
    with command("chain", "--timeout-graceful-shutdown", "2") as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert (
            "INFO:     Waiting at most 2 s for requests in flight: 1 (--timeout-graceful-shutdown)."
            in server.output().splitlines()
        )
        assert TRACEBACK not in server.output() or not CANCELS_QUIETLY


def test_the_limit_of_requests_tells_of_the_stop_too(command: Start) -> None:
    """For any reason, streams are told before they are waited for."""
    with command("chain", "--limit-max-requests", "1") as server:
        server.wait_until_serving()
        request = server.send("/stream/")
        server.wait_for("stream open")
        assert server.get("/async/").status == 200
        assert request.answer().content == b"first\nlast\n"
        assert server.wait() == 0
        assert server.story()[-len(STOPPED) :] == STOPPED


def test_a_reload_closes_what_is_open(command: Start, tmp_path: Path) -> None:
    """Before the next process starts up, also under a response without end. So does the stop."""
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


def test_a_drain_delay_is_for_sigterm_in_production(command: Start) -> None:
    """Neither a server with a limit of requests nor one with ``--reload`` delays its end."""
    for options in (["--limit-max-requests", "1"], ["--reload"]):
        with command("chain", *options, DRAIN_DELAY="20") as server:
            server.wait_until_serving()
            begun = time.monotonic()
            server.get("/async/")
            if "--reload" in options:
                server.stop("SIGTERM")
            assert server.wait() == 0
            assert time.monotonic() - begun < 20
            assert server.story() == [*STARTED, "request answered", *STOPPED]
