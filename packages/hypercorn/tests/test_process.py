"""hypercorn with this package installed, as real processes that real OS signals stop.

hypercorn's own command runs these tests, and this package's those in which it makes a difference.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from testkit.client import DEADLINE, HANDSHAKE, HOST
from testkit.processes import Process
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK, held

from .conftest import STOCK, TWIN, WAYS, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such OS signals"),
]

both = pytest.mark.parametrize("way", WAYS, indirect=True)
twin = pytest.mark.parametrize("way", ["twin"], indirect=True)


def to_parent(name: str) -> Callable[[Process], None]:
    """Return a function that sends an OS signal to the process that was started."""
    return lambda server: server.stop(name)


def to_group(name: str) -> Callable[[Process], None]:
    """Return a function that sends an OS signal to it and all of its workers."""
    return lambda server: server.stop_group(name)


def lifespans(server: Process) -> list[list[str]]:
    """Return the story of each process, without the events of requests."""
    return [
        [event for event in story if not event.startswith("request")] for story in server.stories()
    ]


def test_more_os_signals_hasten_nothing(hypercorn: Start) -> None:
    """Every process is told to stop again and again while a resource closes."""
    with hypercorn("chain", "--workers", "2", CACHE_CLOSING="held") as server:
        # Until a worker serves, a second Ctrl+C cuts its interrupted startup short.
        running = "hypercorn.error INFO: Running on"
        server.until(lambda: server.output().count(running) == 2, "both workers to serve")
        server.stop_group("SIGTERM")
        server.wait_for("cache held", times=2)
        server.stop("Ctrl+C")
        for pid in server.pids():
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
                os.kill(pid, number)
        server.release("cache", times=2)
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *held(STOPPED, at="cache closing")]] * 2


@both
@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT"])
def test_stop_interrupts_the_startup_of_one_process(hypercorn: Start, stop: str) -> None:
    """The resources that are open close, and the log names the pending one."""
    with hypercorn("chain", "--workers", "0", CACHE_OPENING="held") as server:
        server.wait_for("cache held")
        server.stop(stop)
        assert server.wait() == 0
        story = [*held(STARTED[:3], at="cache opening"), "cache cancelled", *STOPPED[4:]]
        assert server.story() == story
        assert "The startup is interrupted, waiting for: cache" in server.output()
        assert TRACEBACK not in server.output()


def test_stop_while_the_application_is_imported_leaves_nothing_open(hypercorn: Start) -> None:
    """SIGTERM to all kills a worker that has nothing to close yet, which is no failure."""
    with hypercorn("chain", asgi="slow_asgi") as server:
        server.wait_for("import blocked")
        server.stop_group("SIGTERM")
        assert server.wait() == 0
        assert server.story() == ["import blocked"]


def test_one_worker_that_is_told_to_stop_is_replaced(hypercorn: Start) -> None:
    """By an OS signal to itself alone: it closes, and a new one starts up."""
    with hypercorn("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        os.kill(server.pids()[0], signal.SIGTERM)
        server.wait_for("search open", times=3)
        server.wait_for("pool closed")
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 3


@both
def test_one_worker_that_is_killed_ends_hypercorn_in_order(hypercorn: Start, module: str) -> None:
    """The others close, although hypercorn ends them by SIGTERM. Only the twin tells of it."""
    with hypercorn("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        os.kill(server.pids()[0], signal.SIGKILL)
        assert server.wait() == {STOCK: 0, TWIN: 128 + signal.SIGKILL}[module]
        assert lifespans(server) == [STARTED, [*STARTED, *STOPPED]]


@twin
def test_many_os_signals_at_once_end_hypercorn_in_order(hypercorn: Start) -> None:
    """Hypercorn's own command would wait for ever for a lock that it holds."""
    with hypercorn("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        for gap in range(300):  # microseconds, of which a handler takes some
            server.stop("SIGTERM")
            next_at = time.perf_counter() + gap / 1e6
            while time.perf_counter() < next_at:
                pass
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 2


@both
@pytest.mark.parametrize("workers", ["0", "1"])
def test_failed_startup_ends_hypercorn(hypercorn: Start, module: str, workers: str) -> None:
    """With the reason in its log once a worker, and with exit code 3 where anything can be done."""
    with hypercorn("chain", "--workers", workers, CACHE_OPENING="fail") as server:
        assert server.wait() == (0 if module == STOCK and workers != "0" else 3)
        count = len(server.pids())
        assert 1 <= count <= max(int(workers), 1)
        assert lifespans(server) == [[*STARTED[:3], *STOPPED[4:]]] * count
        output = server.output()
        assert output.count(TRACEBACK) == count
        reason = "hypercorn.error ERROR: Lifespan failure in startup. 'cache failed to start: "
        assert output.count(reason) == count


@both
@pytest.mark.parametrize("workers", ["0", "1"])
def test_failed_shutdown_closes_the_rest(hypercorn: Start, module: str, workers: str) -> None:
    """The exit code is 1 where anything can be done."""
    count = max(int(workers), 1)
    with hypercorn("chain", "--workers", workers, CACHE_CLOSING="fail") as server:
        server.wait_for("search open", times=count)
        server.stop("SIGTERM")
        assert server.wait() == (0 if module == STOCK and workers != "0" else 1)
        closed = [event for event in STOPPED if event != "cache closed"]
        assert lifespans(server) == [[*STARTED, *closed]] * count
        assert server.output().count(TRACEBACK) == count


@twin
def test_application_that_cannot_be_imported_ends_with_an_error(hypercorn: Start) -> None:
    """Hypercorn's own command would end with 0."""
    with hypercorn("chain", asgi="nothing_asgi") as server:
        assert server.wait() == 1
        assert "module not found" in server.output()


@twin
def test_exit_code_of_an_import_is_passed_on(hypercorn: Start) -> None:
    """Here it is 7."""
    with hypercorn("chain", "--workers", "2", asgi="exiting_asgi") as server:
        assert server.wait() == 7


@twin
def test_trio_is_refused_with_the_reason(hypercorn: Start) -> None:
    """Django cannot run on it."""
    with hypercorn("chain", "--worker-class", "trio") as server:
        assert server.wait() == 1
        assert server.story() == []
        assert "Django runs on asyncio alone" in server.output()


@both
def test_websocket_whose_client_is_deaf_does_not_hold_up_the_stop(hypercorn: Start) -> None:
    """Its connection is cut at the end of the graceful timeout."""
    with hypercorn("sockets", "--graceful-timeout", "1", asgi="sockets_asgi") as server:
        server.wait_until_serving()
        with socket.create_connection((HOST, server.port), timeout=DEADLINE) as client:
            client.sendall(HANDSHAKE)
            received = b""
            while b"hub" not in received:
                received += client.recv(4096)
            server.stop("SIGTERM")
            assert server.wait() == 0
        assert server.story()[-1] == "hub closed"


def test_response_without_end_has_its_time(hypercorn: Start) -> None:
    """Then its client is cut off, and its view cleans up while the resources still work."""
    with hypercorn("chain", "--graceful-timeout", "1") as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        closed = "stream closed with search in cache of pool"
        assert server.story() == [*STARTED, "stream open", closed, *STOPPED]
        assert "Giving up requests in flight: 1." in server.output()
        assert TRACEBACK not in server.output()


def test_worker_that_has_served_its_requests_is_replaced(hypercorn: Start) -> None:
    """--max-requests: it closes, and the next one starts up."""
    with hypercorn("chain", "--max-requests", "2") as server:
        server.wait_until_serving()
        stream = server.send("/stream/")
        server.wait_for("stream open")
        for _ in range(3):
            assert server.get("/async/") == FOUND
        assert stream.answer().content == b"first\nlast\n"
        server.wait_for("search open", times=2)
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert [[*story[:6], *story[-6:]] for story in lifespans(server)] == [
            [*STARTED, *STOPPED]
        ] * 2


@pytest.mark.skipif(version("hypercorn") < "0.18", reason="SIGHUP ends hypercorn 0.17")
@pytest.mark.parametrize(
    "stop", [to_parent("SIGHUP"), to_group("SIGHUP")], ids=["SIGHUP", "SIGHUP to all"]
)
def test_hup_replaces_every_worker(hypercorn: Start, stop: Callable[[Process], None]) -> None:
    """Each that leaves closes its resources, before the next one starts up."""
    with hypercorn("chain") as server:
        server.wait_for("search open")
        stop(server)
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 2


def test_changed_file_ends_one_lifespan_and_begins_the_next(
    hypercorn: Start, tmp_path: Path
) -> None:
    """--reload, under which hypercorn looks once a second at the files of all that is loaded."""
    file = tmp_path / "sitecustomize.py"  # which Python loads by itself
    file.touch()
    with hypercorn("chain", "--reload", PYTHONPATH=str(tmp_path)) as server:
        server.wait_for("search open")
        server.change(file, lambda: "search closing" in server.story())
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 2
