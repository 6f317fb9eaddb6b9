"""granian with this package installed, as real processes that real OS signals stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from testkit.client import DEADLINE, HOST
from testkit.processes import Process
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK, held

from .conftest import LOOPS, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such OS signals"),
]


both_loops = pytest.mark.parametrize("loop", LOOPS, indirect=True)


def to_parent(name: str) -> Callable[[Process], None]:
    """Return what sends an OS signal to the process that was started."""
    return lambda server: server.stop(name)


def to_group(name: str) -> Callable[[Process], None]:
    """Return what sends an OS signal to it and all of its workers."""
    return lambda server: server.stop_group(name)


def lifespans(server: Process) -> list[list[str]]:
    """Return the story of each process, without what happened to requests."""
    return [
        [event for event in story if not event.startswith("request")] for story in server.stories()
    ]


@both_loops
@pytest.mark.parametrize(
    ("stop", "codes"),
    [
        (to_parent("SIGTERM"), {0}),
        (to_group("SIGTERM"), {0, 1}),  # 1 where a worker ends before the parent has begun to stop
        (to_group("SIGINT"), {0}),
    ],
    ids=["SIGTERM", "SIGTERM to all", "Ctrl+C"],
)
def test_requests_in_flight_are_answered_before_anything_closes(
    granian: Start, stop: Callable[[Process], None], codes: set[int]
) -> None:
    """However granian is stopped."""
    with granian("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        assert server.get("/sync/") == FOUND
        request = server.send("/held/")
        server.wait_for("request held")
        stop(server)
        server.wait_for("pool closed")
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() in codes
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 2
        assert TRACEBACK not in server.output()


@both_loops
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_stop_while_the_application_is_imported_starts_nothing(granian: Start, name: str) -> None:
    """Without this package granian could not be stopped any more."""
    with granian("chain", "--workers", "2", asgi="slow_asgi") as server:
        server.wait_for("import blocked", times=2)
        server.stop(name)
        server.until(lambda: "Shutting down granian" in server.output(), "the stop")
        server.release("import", times=2)
        assert server.wait() == 0
        assert server.stories() == [["import blocked"]] * 2
        assert TRACEBACK not in server.output()


def insist(server: Process) -> None:
    """Tell every worker to stop, by both OS signals, again and again.

    Two of them at the same instant may be lost on granian's parent, and it never stops.
    """
    for number in (signal.SIGTERM, signal.SIGINT) * 3:
        for pid in server.pids():
            os.kill(pid, number)


@both_loops
def test_stop_during_the_startup(granian: Start) -> None:
    """The first Ctrl+C interrupts it, and everything open closes. The log names the resource."""
    with granian("chain", "--workers", "2", CACHE_OPENING="held") as server:
        server.wait_for("cache held", times=2)
        server.stop("Ctrl+C")
        server.until(lambda: "Shutting down granian" in server.output(), "the stop")
        assert server.wait() == 0
        interrupted = ["pool opening", "pool open", "cache opening", "cache held"]
        closed = ["cache cancelled", "pool closing", "pool closed"]
        assert lifespans(server) == [[*interrupted, *closed]] * 2
        assert "The startup is interrupted, waiting for: cache" in server.output()


def test_more_os_signals_hasten_nothing_while_resources_close(granian: Start) -> None:
    """Every worker gets SIGTERM and SIGINT again and again."""
    with granian("chain", "--workers", "2", CACHE_CLOSING="held") as server:
        server.wait_for("search open", times=2)
        server.stop("Ctrl+C")
        server.wait_for("cache held", times=2)
        insist(server)
        server.release("cache", times=2)
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *held(STOPPED, at="cache closing")]] * 2


@both_loops
def test_second_ctrl_c_gives_up_requests(granian: Start) -> None:
    """Half a second later: the view is cancelled and cleans up, and then everything closes."""
    with granian("chain") as server:
        server.wait_until_serving()
        server.send("/stream/?deaf")
        server.wait_for("stream open")
        server.stop("Ctrl+C")
        server.until(lambda: "Waiting without a limit" in server.output(), "half a second")
        server.stop("Ctrl+C")
        assert server.wait() == 0
        closed = "stream closed with search in cache of pool"
        assert server.story() == [*STARTED, "stream open", closed, *STOPPED]
        assert "Giving up requests in flight: 1." in server.output()


def test_sigterm_and_sigint_together_give_up_nothing(granian: Start) -> None:
    """As a program sends the one that the terminal sends the other: they are one stop."""
    with granian("chain") as server:
        server.wait_until_serving()
        request = server.send("/held/")
        server.wait_for("request held")
        server.stop("SIGTERM")
        server.until(lambda: "Stopping worker-1" in server.output(), "the stop")
        server.stop("Ctrl+C")
        server.release("request")
        assert request.answer() == FOUND
        assert server.wait() == 0
        assert server.story()[-len(STOPPED) :] == STOPPED


def test_request_that_never_ends_leaves_time_to_close(granian: Start) -> None:
    """Where granian kills after a while, requests get their share of it."""
    with granian("chain", "--workers-kill-timeout", "5") as server:
        server.wait_until_serving()
        server.send("/held/")
        server.wait_for("request held")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request held", *STOPPED]
        assert "Killing worker" not in server.output()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="granian does without from 3.12 on")
def test_everything_closes_although_rust_tasks_cannot_be_found(granian: Start) -> None:
    """The request itself is left to granian."""
    options = ["--workers-kill-timeout", "5", "--task-impl", "rust"]
    with granian("chain", *options) as server:
        server.wait_until_serving()
        server.send("/held/")
        server.wait_for("request held")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request held", *STOPPED]


def test_thread_without_end_does_not_hold_up_the_stop(granian: Start) -> None:
    """Everything is closed, and the process ends and names the thread."""
    with granian("chain") as server:
        server.wait_until_serving()
        server.send("/stuck/")
        server.wait_for("request stuck")
        server.stop("Ctrl+C")
        server.hurry("Giving up requests in flight: 1.")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request stuck", *STOPPED]
        assert "The process ends without its threads, which go on: " in server.output()


@pytest.mark.parametrize("mode", ["st", "mt"])
def test_open_websocket_is_told_of_the_stop(granian: Start, mode: str) -> None:
    """The notice comes first, the client is told 1012, and then everything closes."""
    with granian("sockets", "--runtime-mode", mode, asgi="sockets_asgi") as server:
        server.wait_for("hub open")
        server.wait_until_serving()
        with connect(f"ws://{HOST}:{server.port}/", open_timeout=DEADLINE) as client:
            assert client.recv(DEADLINE) == "hub"
            server.stop("SIGTERM")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        assert server.story()[:2] == ["hub open", "server stopping"]
        assert server.story()[-1] == "hub closed"


def test_stream_that_is_told_of_the_stop_ends_by_itself(granian: Start) -> None:
    """The notice comes before granian waits for it."""
    with granian("chain") as server:
        server.wait_until_serving()
        request = server.send("/stream/")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert request.answer().content == b"first\nlast\n"
        assert server.wait() == 0


def test_workers_close_when_their_parent_ends(granian: Start) -> None:
    """Nobody is left who could tell them."""
    with granian("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        server.stop("SIGKILL")
        assert server.wait() == -signal.SIGKILL
        server.wait_for("pool closed", times=2, alive=False)
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 2
        assert "has ended, and so does this worker." in server.output()


@both_loops
def test_stop_that_comes_as_soon_as_granian_serves_is_not_lost(granian: Start) -> None:
    """Between its startup and its serving the event loop does not run, and uvloop is deaf."""
    with granian("chain") as server:
        server.wait_for("search open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


@pytest.mark.parametrize("word", ["fail", "exit"])
@pytest.mark.parametrize("options", [(), ("--respawn-failed-workers",)], ids=["", "respawn"])
def test_failed_startup_ends_granian(granian: Start, word: str, options: tuple[str, ...]) -> None:
    """With exit code 1, also where granian replaces what fails: once is enough."""
    with granian("chain", *options, CACHE_OPENING=word) as server:
        assert server.wait() == 1
        assert len(server.pids()) <= 2
        assert set(map(tuple, lifespans(server))) == {(*STARTED[:3], *STOPPED[4:])}
        assert "ASGI lifespan startup failed" in server.output()


def test_worker_that_is_told_to_stop_or_killed_is_replaced(granian: Start) -> None:
    """With --respawn-failed-workers; one that is told closes what it opened."""
    with granian("chain", "--respawn-failed-workers") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        os.kill(server.pids()[0], signal.SIGTERM)
        server.wait_for("search open", times=2)
        server.until(lambda: server.get("/async/") == FOUND, "an answer of the second one")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 2


def test_one_worker_that_is_killed_ends_granian_in_order(granian: Start) -> None:
    """The other one closes."""
    with granian("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        os.kill(server.pids()[0], signal.SIGKILL)
        assert server.wait() == 1
        assert lifespans(server) == [STARTED, [*STARTED, *STOPPED]]


def test_hup_replaces_every_worker(granian: Start) -> None:
    """Each that leaves closes what it opened."""
    with granian("chain", "--workers", "2") as server:
        server.wait_for("search open", times=2)
        server.stop("SIGHUP")
        server.wait_for("search open", times=4)
        server.wait_for("pool closed", times=2)
        assert server.get("/async/") == FOUND
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 4


def test_interface_without_lifespan_says_which_one_to_choose(granian: Start) -> None:
    """When the first request arrives."""
    with granian("chain", interface="asginl") as server:
        server.wait_until_serving()
        assert server.get("/async/").status == 500
        assert "nothing was opened: pool, cache, search." in server.output()
        assert "granian: --interface asgi" in server.output()
        server.stop("SIGTERM")
        assert server.wait() == 0


def test_changed_file_ends_one_lifespan_and_begins_the_next(granian: Start, tmp_path: Path) -> None:
    """--reload, for which granian needs the package watchfiles."""
    watched = tmp_path / "watched"
    watched.mkdir()
    file = watched / "changing.py"
    file.touch()
    with granian("chain", "--reload", "--reload-paths", str(watched)) as server:
        server.wait_for("search open")
        server.change(file, lambda: "Changes detected" in server.output())
        server.wait_for("search open", times=2)
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert lifespans(server) == [[*STARTED, *STOPPED]] * 2
