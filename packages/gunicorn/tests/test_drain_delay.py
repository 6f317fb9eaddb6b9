"""The drain delay under gunicorn: its time limit, its sockets, and the workers that it replaces."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from testkit.stories import STARTED, STOPPED

from .conftest import WORKERS, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork()"),
]

LONG = 20
FITTING = ("--graceful-timeout", "120")


@pytest.mark.parametrize("worker", [*WORKERS, "uvicorn_worker.UvicornWorker"])
def test_a_stop_that_the_arbiter_would_cut_off_is_an_error(gunicorn: Start, worker: str) -> None:
    """It shows the sum, and the graceful timeout that is needed."""
    with gunicorn("chain", DRAIN_DELAY="5") as server:
        assert server.wait() == 3
        assert "pool open" not in server.story()
        assert "= 40 s, but its parent process kills it after 30 s" in server.output()
        assert "Set --graceful-timeout to 55 or more" in server.output()


@pytest.mark.parametrize("worker", ["NativeLifespanWorker"])
def test_a_unix_socket_is_an_error(gunicorn: Start, tmp_path: Path) -> None:
    """The arbiter removes it at once."""
    bind = ("--bind", f"unix:{tmp_path / 'socket'}")
    with gunicorn("chain", *FITTING, *bind, DRAIN_DELAY="5") as server:
        assert server.wait() == 3
        assert "pool open" not in server.story()
        assert "DRAIN_DELAY has no effect with a Unix socket" in server.output()


def test_a_worker_that_recycles_itself_does_not_delay(gunicorn: Start) -> None:
    """Another one takes its place, and the load balancer need not know."""
    with gunicorn("chain", *FITTING, "--max-requests", "1", DRAIN_DELAY=str(LONG)) as server:
        server.wait_for("search open")
        server.get("/async/")
        begun = time.monotonic()
        server.wait_for("pool closed")
        assert time.monotonic() - begun < LONG
        assert server.stories()[0] == [*STARTED, "request answered", *STOPPED]


def test_a_worker_that_is_one_too_many_delays_for_a_second(gunicorn: Start) -> None:
    """The arbiter repeats SIGTERM then (``Arbiter.manage_workers()``)."""
    with gunicorn("chain", *FITTING, DRAIN_DELAY=str(LONG)) as server:
        server.wait_for("search open")
        server.stop("SIGTTIN")
        server.wait_for("search open", times=2)
        begun = time.monotonic()
        server.stop("SIGTTOU")
        server.wait_for("pool closed")
        assert time.monotonic() - begun < LONG
