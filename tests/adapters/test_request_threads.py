"""Every server with request threads: connections persist, and are closed at the stop."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from testkit.services import PostgreSQL, short_folder

from .setups import SETUPS, Setup

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="it has other OS signals"),
]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A server of these tests' own."""
    with short_folder() as folder, PostgreSQL(folder) as started:
        yield started


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_no_connection_is_left_after_the_stop(setup: Setup, postgresql: PostgreSQL) -> None:
    """As PostgreSQL counts them when each worker has answered the message of the shutdown."""
    with setup.start("database", asgi="database_asgi", POSTGRESQL=postgresql.url) as server:
        setup.wait_until_started(server, "worker open")
        paths = ["/sync/", "/async/"] * 10
        used = {server.get(path).content for path in paths}
        # A request may come before the one before it has given its thread back.
        assert 1 <= len(used) <= 2 * setup.processes
        server.stop("SIGTERM")
        assert server.wait() == setup.terminated
        assert server.stories() == [["worker open", "connections 0"]] * setup.processes
