"""Stock uvicorn in a hurry: more than one OS signal, or one that comes during the startup."""

from __future__ import annotations

import signal
import sys

import pytest

from testkit.stories import STARTED, STOPPED, held

from .conftest import Start

pytestmark = pytest.mark.process


def waits_for_requests(loop: str) -> bool:
    """Return whether uvicorn's forced exit waits for requests in flight: asyncio's servers do."""
    return loop == "asyncio" and sys.version_info >= (3, 12)


def test_second_ctrl_c_still_closes_in_order(uvicorn: Start, loop: str) -> None:
    """A forced exit, which cancels every task instead of shutting down, lets each wait its turn."""
    with uvicorn("chain", "--loop", loop, asgi="watched_asgi", CACHE_CLOSING="held") as server:
        server.wait_until_serving()
        server.send("/held/")
        server.wait_for("request held")
        server.stop("Ctrl+C")
        server.wait_until_refusing()
        server.stop("Ctrl+C")
        answered = []
        if waits_for_requests(loop):
            server.release("request")
            answered = ["request answered"]
        server.wait_for("cache held")
        server.release("cache")
        assert server.wait() == 0
        assert server.story() == [
            "server lifespan.startup",
            *STARTED,
            "application lifespan.startup.complete",
            "request held",
            *answered,
            *held(STOPPED, at="cache closing"),
        ]


def test_ctrl_c_and_then_sigterm_shuts_down(uvicorn: Start, loop: str) -> None:
    """SIGTERM after Ctrl+C changes nothing: the request is answered and the resources close."""
    with uvicorn("chain", "--loop", loop) as server:
        server.wait_until_serving()
        request = server.send("/held/")
        server.wait_for("request held")
        server.stop("Ctrl+C")
        server.wait_until_refusing()
        server.stop("SIGTERM")
        server.release("request")
        assert request.answer().status == 200
        assert server.wait() == -signal.SIGTERM
        assert server.story() == [*STARTED, "request held", "request answered", *STOPPED]


def test_sigterm_and_then_ctrl_c_kills_from_python_3_11_on(uvicorn: Start, loop: str) -> None:
    """A forced exit after SIGTERM is the death of the process, and nothing can close.

    uvicorn ends by raising the OS signals that it caught, the last one first. On Python 3.10 the
    SIGINT is a KeyboardInterrupt, and every task is cancelled; since 3.11 it is but a note to the
    runner, and the SIGTERM kills.
    """
    with uvicorn("chain", "--loop", loop) as server:
        server.wait_until_serving()
        server.send("/held/")
        server.wait_for("request held")
        server.stop("SIGTERM")
        server.wait_until_refusing()
        server.stop("Ctrl+C")
        answered = []
        if waits_for_requests(loop):
            server.release("request")
            answered = ["request answered"]
        killed = sys.version_info >= (3, 11)
        assert server.wait() == (-signal.SIGTERM if killed else 0)
        assert server.story() == [
            *STARTED,
            "request held",
            *answered,
            *([] if killed else STOPPED),
        ]


@pytest.mark.parametrize(("stop", "exit_code"), [("SIGTERM", -signal.SIGTERM), ("Ctrl+C", 0)])
def test_stop_during_startup(uvicorn: Start, loop: str, stop: str, exit_code: int) -> None:
    """The startup runs to its end, and the shutdown follows."""
    with uvicorn("chain", "--loop", loop, CACHE_OPENING="held held") as server:
        server.wait_for("cache held")
        server.stop(stop)
        server.release("cache")  # the signal is handled by the time that it holds again
        server.wait_for("cache held", times=2)
        server.release("cache")
        assert server.wait() == exit_code
        assert server.story() == [*held(STARTED, at="cache opening", times=2), *STOPPED]


def test_second_ctrl_c_during_startup_still_closes_in_order(
    uvicorn: Start, loop: str, dev_mode: dict[str, str]
) -> None:
    """The startup runs to its end, then every task is cancelled, and nothing is left over."""
    with uvicorn(
        "chain",
        "--loop",
        loop,
        asgi="watched_asgi",
        CACHE_OPENING="held held",
        POOL_CLOSING="held",
        **dev_mode,
    ) as server:
        server.wait_for("cache held")
        server.stop("Ctrl+C")
        server.release("cache")  # the signal is handled by the time that it holds again
        server.wait_for("cache held", times=2)
        server.stop("Ctrl+C")
        server.release("cache")
        server.wait_for("pool held")
        server.release("pool")
        assert server.wait() == 0
        assert server.story() == [
            "server lifespan.startup",
            *held(STARTED, at="cache opening", times=2),
            "application lifespan.startup.complete",
            *held(STOPPED, at="pool closing"),
        ]
        assert server.noise() == []


def test_cancelled_startup_closes_what_is_open(python: Start) -> None:
    """Ctrl+C in a program that awaits the startup: openings are cancelled, the rest is closed."""
    with python(
        "chain", "cancelled_startup", CACHE_OPENING="stuck", POOL_CLOSING="held"
    ) as program:
        program.wait_for("cache stuck")
        program.stop("Ctrl+C")
        program.wait_for("pool held")
        program.release("pool")
        assert program.wait() == -signal.SIGINT
        assert program.story() == [
            "pool opening",
            "pool open",
            "cache opening",
            "cache stuck",
            "cache cancelled",
            "pool closing",
            "pool held",
            "pool closed",
            "startup cancelled",
        ]
