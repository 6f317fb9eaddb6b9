"""gunicorn's stock worker classes, with this package installed."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from testkit.client import DEADLINE
from testkit.stories import STARTED, STOPPED

from .conftest import HOOKS, Start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork()"),
]

both = pytest.mark.parametrize("worker", ["uvicorn_worker.UvicornWorker", "asgi"])
uvicorn_alone = pytest.mark.parametrize("worker", ["uvicorn_worker.UvicornWorker"])


@both
def test_sigint_to_the_arbiter_closes(gunicorn: Start, worker: str) -> None:
    """A UvicornWorker alone would hang, and for gunicorn's own the log names our worker class."""
    with gunicorn("chain") as server:
        server.wait_for("search open")
        server.stop("SIGINT")
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]
        assert "SIGKILL" not in server.output()
        advice = "Run gunicorn with -k django_asgi_lifespan_gunicorn.NativeLifespanWorker."
        assert server.output().count(advice) == (worker == "asgi")


@uvicorn_alone
@pytest.mark.parametrize("stop", ["SIGTERM", "SIGINT"])
def test_hooks_are_called_at_the_end(gunicorn: Start, stop: str) -> None:
    """A UvicornWorker alone dies of the OS signal once more, and calls none."""
    with gunicorn("chain", configuration=HOOKS) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        server.stop(stop)
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED, "hook worker_exit", "hook atexit"]


@uvicorn_alone
def test_request_that_never_ends_leaves_time_to_close(gunicorn: Start) -> None:
    """Uvicorn gives it up in time."""
    with gunicorn("chain", "--graceful-timeout", "3") as server:
        server.wait_for("search open")
        server.send("/held/")
        server.wait_for("request held")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request held", *STOPPED]


@uvicorn_alone
def test_shutdown_longer_than_the_timeout_is_left_alone(gunicorn: Start) -> None:
    """Of a worker that is recycled."""
    with gunicorn("chain", "--timeout", "1", "--max-requests", "1", CACHE_CLOSING="held") as server:
        server.wait_for("search open")
        server.get("/async/")
        server.wait_for("cache held")
        end = time.monotonic() + 3
        server.until(lambda: time.monotonic() > end, "3 s to pass")
        server.release("cache")
        server.wait_for("pool closed")
        assert "WORKER TIMEOUT" not in server.output()


@uvicorn_alone
def test_workers_close_when_the_arbiter_is_killed(gunicorn: Start) -> None:
    """They look after it once a second."""
    with gunicorn("chain") as server:
        server.wait_for("search open")
        server.stop("SIGKILL")
        assert server.wait() == -signal.SIGKILL
        deadline = time.monotonic() + DEADLINE
        while "pool closed" not in server.story():
            assert time.monotonic() < deadline, "the worker serves on"
        assert server.story() == [*STARTED, *STOPPED]
