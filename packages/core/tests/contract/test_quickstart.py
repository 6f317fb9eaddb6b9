"""Projects as the documentation of 0.5 had people write them, run by stock uvicorn."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit.client import HOST, Answer
from testkit.processes import Process, start
from testkit.stories import TRACEBACK

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="it has other OS signals"),
]


def run_uvicorn(project: str, **environment: str) -> AbstractContextManager[Process]:
    """Run the application of *project*."""
    command = [sys.executable, "-m", "uvicorn", "asgi:application", "--lifespan=on"]
    command += ["--host", HOST, "--port", "{port}"]
    return start(command, cwd=HERE / project, environment=environment)


def client_story(uvicorn: Process) -> list[str]:
    """Return what the process printed about its client."""
    return [line for line in uvicorn.output().splitlines() if line.startswith("client ")]


def test_the_quickstart_with_receivers_without_parameters() -> None:
    """The client is open before the first request, and closed after SIGTERM."""
    with run_uvicorn("quickstart") as uvicorn:
        uvicorn.wait_until_serving()
        assert client_story(uvicorn) == ["client opened"]
        assert uvicorn.get("/") == Answer(200, b"content of /")
        uvicorn.stop("SIGTERM")
        uvicorn.wait()
        assert client_story(uvicorn) == ["client opened", "client used", "client closed"]
        assert TRACEBACK not in uvicorn.output()


def test_the_quickstart_with_a_manager_and_the_middleware() -> None:
    """Async and sync views find the client in the state of the request."""
    with run_uvicorn("managed") as uvicorn:
        uvicorn.wait_until_serving()
        assert client_story(uvicorn) == ["client opened"]
        assert uvicorn.get("/") == Answer(200, b"content of /")
        assert uvicorn.get("/sync/") == Answer(200, b"content of /sync/")
        uvicorn.stop("SIGTERM")
        uvicorn.wait()
        used = ["client used", "client used"]
        assert client_story(uvicorn) == ["client opened", *used, "client closed"]
        assert TRACEBACK not in uvicorn.output()


def test_d24_uvicorn_shows_why_the_startup_failed() -> None:
    """One traceback, although the exception has no text and nothing sets up logging."""
    with run_uvicorn("managed", NOBODY_THERE="1") as uvicorn:
        assert uvicorn.wait() == 3
        assert uvicorn.output().count(TRACEBACK) == 1
        assert re.search(r"^ConnectionRefusedError$", uvicorn.output(), re.MULTILINE)
        assert "Uvicorn running" not in uvicorn.output()
