"""The drain delay under hypercorn's own command, which has none, and under the twin."""

from __future__ import annotations

import sys
import time

import pytest

from testkit import servers
from testkit.stories import STARTED, STOPPED

from .conftest import STOCK, TWIN

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="it has other OS signals"),
]

SECONDS = 20


@pytest.mark.parametrize(("module", "workers"), [(STOCK, "1"), (TWIN, "0")])
def test_where_hypercorn_stops_at_once_the_log_says_so(module: str, workers: str) -> None:
    """At the start, with the remedy."""
    start = servers.hypercorn(module, "--workers", workers)
    with start("chain", DRAIN_DELAY=str(SECONDS)) as server:
        server.wait_for("search open")
        server.wait_until_serving()
        begun = time.monotonic()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert time.monotonic() - begun < SECONDS
        assert "Run hypercorn-lifespan, with one worker or more." in server.output()


def test_a_second_sigterm_to_the_parent_ends_the_delay() -> None:
    """The parent tells all of its workers."""
    start = servers.hypercorn(TWIN, "--workers", "2")
    with start("chain", PROBES="/", DRAIN_DELAY=str(SECONDS)) as server:
        serving = "hypercorn.error INFO: Running on "
        server.until(lambda: server.output().count(serving) == 2, "two workers that serve")
        begun = time.monotonic()
        server.stop("SIGTERM")
        server.until(lambda: server.get("/readyz").status == 503, "a worker that is not ready")
        server.pass_time(0.6)
        assert "search closing" not in server.story()
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert time.monotonic() - begun < SECONDS
        assert server.lifespans() == [[*STARTED, *STOPPED]] * 2
