"""Stock uvicorn, and resources that cannot start or cannot stop."""

from __future__ import annotations

import socket

import pytest

from testkit.client import HOST
from testkit.stories import STARTED, STOPPED, TRACEBACK

from .conftest import Start

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("mode", "behaviour", "error"),
    [
        ("auto", "fail", "RuntimeError: cache failed in opening"),
        ("auto", "exit", "SystemExit: 7"),
        ("on", "fail", "RuntimeError: cache failed in opening"),
    ],
    ids=["auto, exception", "auto, SystemExit", "on, exception"],
)
def test_failed_startup_ends_the_server(
    uvicorn: Start, loop: str, mode: str, behaviour: str, error: str
) -> None:
    """The exit code is 3, nobody was served, all is closed, and one traceback gives the reason."""
    with uvicorn("chain", "--loop", loop, "--lifespan", mode, CACHE_OPENING=behaviour) as server:
        assert server.wait() == 3
        started, stopped = STARTED[:3], STOPPED[4:]
        assert server.story() == [*started, *stopped]
        assert server.output().count(TRACEBACK) == 1
        assert f"ERROR:    cache failed to start: {error}" in server.output().splitlines()
        assert "unsupported" not in server.output()
        assert "Uvicorn running" not in server.output()


def test_failed_shutdown_closes_the_others(uvicorn: Start, loop: str) -> None:
    """The log of uvicorn names it, with one traceback, and the rest is closed."""
    with uvicorn("chain", "--loop", loop, CACHE_CLOSING="fail") as server:
        server.wait_until_serving()
        server.stop("Ctrl+C")
        assert server.wait() == 0
        stopped = [event for event in STOPPED if event != "cache closed"]
        assert server.story() == [*STARTED, *stopped]
        error = "RuntimeError: cache failed in closing"
        assert f"ERROR:    cache failed to stop: {error}" in server.output().splitlines()
        assert server.output().count(TRACEBACK) == 1


def test_port_in_use_closes_what_was_started(uvicorn: Start) -> None:
    """The startup comes before the port; if that is taken, the shutdown follows at once."""
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        with uvicorn("chain", "--port", port) as server:
            assert server.wait() == 3
            assert server.story() == [*STARTED, *STOPPED]
