"""Projects as the documentation of 0.5 had people write them, run by stock uvicorn.

A process writes everything to one pipe, in order, so reading lines is all the waiting there is.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

HERE = Path(__file__).parent
HOST = "127.0.0.1"
DEADLINE = 60.0
"""Seconds for the whole life of a process; many times what it takes."""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="it has other OS signals"),
]


class Uvicorn:
    """A running uvicorn.

    Attributes:
        said: the lines that were read from it.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.said: list[str] = []
        self._process = process
        self._lines: IO[str] = process.stdout

    def wait_until_serving(self) -> None:
        """Read until it says on which port it serves."""
        for line in self._lines:
            self.said.append(line)
            if found := re.search(rf"Uvicorn running on http://{HOST}:(\d+)", line):
                self._port = int(found[1])
                return
        raise AssertionError("it ended, or did not serve before the deadline")

    def get(self, path: str) -> tuple[int, str]:
        """Return status and content of the answer to a request."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def wait(self) -> int:
        """Read the rest, and return the exit code."""
        self.said.extend(self._lines)
        return self._process.wait()

    def story(self) -> list[str]:
        """Return what it said about the client."""
        return [line.strip() for line in self.said if line.startswith("client ")]


@contextlib.contextmanager
def run_uvicorn(project: str, **environment: str) -> Iterator[Uvicorn]:
    """Run the application of *project* on a free port, in a process group of its own."""
    command = [sys.executable, "-m", "uvicorn", "asgi:application", "--lifespan=on"]
    inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    with subprocess.Popen(
        [*command, "--host", HOST, "--port", "0"],
        cwd=HERE / project,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:

        def kill() -> None:
            if process.returncode is None:  # else the number may be that of another by now
                # macOS says EPERM where only zombies are left.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(DEADLINE, kill)
        timer.start()
        uvicorn = Uvicorn(process)
        try:
            yield uvicorn
        except BaseException:
            kill()
            uvicorn.wait()
            print("".join(uvicorn.said))  # noqa: T201
            raise
        finally:
            timer.cancel()
            kill()


def test_the_quickstart_with_receivers_without_parameters() -> None:
    """The client is open before the first request, and closed after SIGTERM."""
    with run_uvicorn("quickstart") as uvicorn:
        uvicorn.wait_until_serving()
        assert uvicorn.story() == ["client opened"]
        assert uvicorn.get("/") == (200, "content of /")
        uvicorn.terminate()
        uvicorn.wait()
    assert uvicorn.story() == ["client opened", "client used", "client closed"]
    assert "Traceback" not in "".join(uvicorn.said)


def test_the_quickstart_with_a_manager_and_the_middleware() -> None:
    """Async and sync views find the client in the state of the request."""
    with run_uvicorn("managed") as uvicorn:
        uvicorn.wait_until_serving()
        assert uvicorn.story() == ["client opened"]
        assert uvicorn.get("/") == (200, "content of /")
        assert uvicorn.get("/sync/") == (200, "content of /sync/")
        uvicorn.terminate()
        uvicorn.wait()
    assert uvicorn.story() == ["client opened", "client used", "client used", "client closed"]
    assert "Traceback" not in "".join(uvicorn.said)


def test_d24_uvicorn_shows_why_the_startup_failed() -> None:
    """One traceback, although the exception has no text and nothing sets up logging."""
    with run_uvicorn("managed", NOBODY_THERE="1") as uvicorn:
        code = uvicorn.wait()
    said = "".join(uvicorn.said)
    assert code == 3
    assert said.count("Traceback (most recent call last)") == 1
    assert re.search(r"^ConnectionRefusedError$", said, re.MULTILINE)
    assert "Uvicorn running" not in said
