"""granian with this package installed, as real processes that real OS signals stop."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from testkit.processes import Process
from testkit.stories import FOUND, STARTED, STOPPED, TRACEBACK

from .conftest import LOOPS, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such OS signals"),
]


both_loops = pytest.mark.parametrize("loop", LOOPS, indirect=True)


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


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_stop_while_the_application_is_imported_starts_nothing(granian: Start, name: str) -> None:
    """Without this package a worker that is forked could not be stopped any more."""
    with granian("chain", "--workers", "2", asgi="slow_asgi") as server:
        server.wait_for("import blocked", times=2)
        server.stop(name)
        server.until(lambda: "Shutting down granian" in server.output(), "the stop")
        server.open_gate("import")  # a worker that is spawned has ended by then
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


@both_loops
def test_stop_that_comes_as_soon_as_granian_serves_is_not_lost(granian: Start) -> None:
    """Between its startup and its serving the event loop does not run, and uvloop is deaf."""
    with granian("chain") as server:
        server.wait_for("search open")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


@pytest.mark.parametrize("word", ["fail", "exit"])
def test_failed_startup_ends_granian(granian: Start, word: str) -> None:
    """With exit code 1, also where granian replaces failed workers: once is enough."""
    with granian("chain", "--respawn-failed-workers", CACHE_OPENING=word) as server:
        assert server.wait() == 1
        # A failure that comes later than 5.5 seconds after the start of a worker counts as new.
        ends = [event.time for event in server.journal().find("pool closed")]
        assert all(end - before > 3 for before, end in itertools.pairwise(ends[:-1]))
        assert set(map(tuple, lifespans(server))) == {(*STARTED[:3], *STOPPED[4:])}
        assert "ASGI lifespan startup failed" in server.output()


def test_worker_that_is_told_to_stop_or_killed_is_replaced(granian: Start) -> None:
    """With --respawn-failed-workers. One that is told to stop closes its resources."""
    with granian("chain", "--respawn-failed-workers") as server:
        server.wait_for("search open")
        server.wait_until_serving()
        os.kill(server.pids()[0], signal.SIGTERM)
        server.wait_for("search open", times=2)
        server.wait_until_serving()
        assert server.get("/async/") == FOUND
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
    """Each that leaves closes its resources."""
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
    with granian("chain", "--interface", "asginl") as server:
        server.wait_until_serving()
        assert server.get("/async/").status == 500
        assert "nothing was opened: pool, cache, search." in server.output()
        assert "Use '--interface asgi'." in server.output()
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
