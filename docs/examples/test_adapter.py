"""The adapter of the page "Write your own adapter", with its server as a real process."""

from __future__ import annotations

import contextlib
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import CUT_OFF, Request
from testkit.processes import Process, start

HERE = Path(__file__).parent
ADAPTER = "small_adapter.SmallServerAdapter"


def serve(**environment: str) -> AbstractContextManager[Process]:
    """Start the example's server with the example's project."""
    command = [sys.executable, "-m", "small_server", "small_project:application", "{port}"]
    return start(command, cwd=HERE / "adapter", environment=environment)


def stop_with_a_request(server: Process, path: str) -> tuple[Request, int]:
    """Send SIGTERM while a request is served, and return the request and the exit code."""
    server.wait_until_serving()
    request = server.send(path)
    server.wait_for("request asked")
    server.stop("SIGTERM")
    return request, server.wait()


@pytest.mark.process
def test_the_request_in_flight_ends_before_its_resource_closes() -> None:
    """With the adapter, the answer arrives and the server ends with 0."""
    with serve(ADAPTER=ADAPTER) as server:
        request, code = stop_with_a_request(server, "/")
        assert request.answer() == (200, b"the answer of the pool")
        assert code == 0
        assert server.story() == ["pool opened", "request asked", "request answered", "pool closed"]


@pytest.mark.process
def test_a_request_that_does_not_end_is_cancelled_before_its_resource_closes() -> None:
    """In the last second of the limit, and the server ends with 0."""
    with serve(ADAPTER=ADAPTER, SMALL_SERVER_LIMIT="1") as server:
        _, code = stop_with_a_request(server, "/endless")
        assert code == 0
        story = ["pool opened", "request asked", "request cancelled", "pool closed"]
        assert server.story() == story


@pytest.mark.process
def test_without_the_adapter_the_resource_closes_first() -> None:
    """So the adapter makes the difference: the small server alone does not wait."""
    with serve() as server:
        request, _ = stop_with_a_request(server, "/")
        with contextlib.suppress(*CUT_OFF):  # or an answer, if the view is faster than the stop
            assert request.answer().status == 500
        assert server.story() == ["pool opened", "request asked", "pool closed"]


@pytest.mark.process
def test_a_startup_that_hangs_is_interrupted() -> None:
    """At the first OS signal: the server ends with 3, as after any failed startup."""
    with serve(ADAPTER=ADAPTER, HANG="1") as server:
        server.wait_for("pool starting")
        server.stop("SIGINT")
        assert server.wait() == 3
        assert server.story() == ["pool starting"]


def test_the_page_shows_the_adapter_and_the_setting() -> None:
    """To the letter."""
    page = (HERE.parent / "adapters.md").read_text()
    assert f"```python\n{(HERE / 'adapter' / 'small_adapter.py').read_text()}```" in page
    assert f'{{"ADAPTERS": ["{ADAPTER}"]}}' in page
