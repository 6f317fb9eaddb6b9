"""The command of uvicorn itself, with this package installed: what the hooks do in a process."""

from __future__ import annotations

import signal

import pytest

from testkit.stories import STARTED, STOPPED

from .conftest import Start

pytestmark = pytest.mark.process


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGHUP"])
def test_other_os_signals_stop_a_process_as_well(stock: Start, name: str) -> None:
    """They would have killed it."""
    with stock("chain") as server:
        server.wait_until_serving()
        server.stop(name)
        assert server.wait() == 0
        assert server.story() == [*STARTED, *STOPPED]


def test_an_os_signal_that_is_ignored_stays_so(stock: Start) -> None:
    """Such as SIGHUP under nohup."""
    with stock("chain", asgi="nohup_asgi") as server:
        server.wait_until_serving()
        server.stop("SIGHUP")
        assert server.get("/async/").status == 200
        server.stop("Ctrl+C")
        assert server.wait() == 0
        assert server.story() == [*STARTED, "request answered", *STOPPED]


@pytest.mark.parametrize("mode", [["--workers", "2"], ["--reload"]], ids=["workers", "reload"])
def test_workers_close_when_their_parent_is_killed(stock: Start, mode: list[str]) -> None:
    """They notice, and say why they end."""
    count = 2 if "2" in mode else 1
    with stock("chain", *mode) as server:
        server.wait_for("search open", times=count)
        server.wait_until_serving()
        server.stop("SIGKILL")
        assert server.wait() == -signal.SIGKILL
        server.wait_for("pool closed", times=count, alive=False)
        assert server.stories() == [[*STARTED, *STOPPED]] * count
        assert server.output().count("has ended, and so does this worker.") == count


def test_a_stream_is_told_of_the_stop_before_it_is_waited_for(stock: Start) -> None:
    """Else it would hold up the stop for ever. A short wait is not worth a line of the log."""
    with stock("chain") as server:
        server.wait_until_serving()
        request = server.send("/stream/")
        server.wait_for("stream open")
        server.stop("SIGTERM")
        assert request.answer().content == b"first\nlast\n"
        assert server.wait() == -signal.SIGTERM
        assert "requests in flight" not in server.output()


def test_the_log_says_that_requests_have_no_limit(stock: Start) -> None:
    """With the option that sets one."""
    with stock("chain") as server:
        request = server.hold_a_request()
        server.stop("SIGTERM")
        server.wait_for_output(
            r"^INFO:     Waiting without a limit for requests in flight: 1 "
            r"\(set one with --timeout-graceful-shutdown\)\.$"
        )
        server.release("request")
        assert request.answer().status == 200
        assert server.wait() == -signal.SIGTERM
