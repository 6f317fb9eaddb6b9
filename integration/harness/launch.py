"""One launch: a server's process group, the OS signals that it is sent, and its remains."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

import psutil

from testkit.client import Address, hold_port

from .client import Answer, Request, WebSocket
from .journal import Journal

PROJECT = Path(__file__).parents[1] / "project"
START_DEADLINE = 30.0
"""Seconds within which a launch has done its part of the start, on a busy machine."""

STOP_DEADLINE = 12.0
"""Seconds after which a server that was told to stop is said to hang.

Every target gives its requests and its lifespan three seconds each at most.
"""


GROUP_DEADLINE = 5.0
"""Seconds in which workers must end whose supervisor has ended."""


class LaunchError(Exception):
    """The server did not reach the state in which the scenario can ask its question."""


class Launch:
    """A server in a process group of its own.

    Attributes:
        address: where it is told to listen.
        pid: that of the process which the command started: the supervisor, if there is one.
        code: the exit code, negative after death by an OS signal, None while it runs.
        hung: it had to be killed.
        orphans: processes of the group were left when it had ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        unix: bool,
        occupied: bool,
        folder: Path,
    ) -> None:
        self.folder = folder
        self.project = folder / "project"
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("__pycache__"))
        self._gates = folder / "gates"
        self._gates.mkdir()
        self._journal = folder / "journal"
        self._journal.touch()
        self._output = folder / "output"
        self._resources = contextlib.ExitStack()
        holder = self._resources.enter_context(hold_port())
        if occupied:
            holder.listen()
        self.address = Address(holder.getsockname()[1], folder / "socket" if unix else None)
        self.hung = False
        self.orphans = 0
        places = {"{port}": str(self.address.port), "{socket}": str(self.address.path)}
        self.command = [_fill(word, places) for word in command]
        variables = {"JOURNAL": str(self._journal), "GATES": str(self._gates), **environment}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.project,
                env=_clean_environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    # Its traces

    @property
    def code(self) -> int | None:
        return self._process.poll()

    @property
    def journal(self) -> Journal:
        """The events that the application has written until now."""
        return Journal.read(self._journal)

    @property
    def output(self) -> str:
        """The text that the processes have printed until now."""
        return self._output.read_text(errors="replace")

    def alive(self) -> list[int]:
        """Return the processes of the group that run, zombies left out."""
        return [pid for pid in psutil.pids() if _is_running(pid, group=self.pid)]

    # The actions of a scenario

    def until(self, condition: Callable[[], object], what: str, *, within: float) -> None:
        """Return when *condition* is true.

        Raises:
            LaunchError: at the deadline, or when the process ended before.
        """
        deadline = time.monotonic() + within
        while True:
            ended = self.code is not None
            if condition():
                return
            if ended:
                raise LaunchError(f"the process ended before {what}")
            if time.monotonic() > deadline:
                raise LaunchError(f"no {what} within {within:g} s")
            threading.Event().wait(0.02)

    def waits(self, condition: Callable[[], object], *, within: float) -> bool:
        """Return whether *condition* became true in time. The wait ends with the process."""
        try:
            self.until(condition, "", within=within)
        except LaunchError:
            return bool(condition())
        return True

    def wait_for(self, event: str, *, times: int = 1, within: float = START_DEADLINE) -> None:
        """Return when *event* is in the journal, so many times."""
        self.until(
            lambda: self.journal.count(event) >= times, f"{event!r} x {times}", within=within
        )

    def get(self, path: str) -> Answer:
        """Return the answer to a request on a connection of its own."""
        request = self.send(path)
        try:
            return request.answer()
        finally:
            request.close()

    def send(self, path: str, *, keep_alive: bool = False) -> Request:
        """Send a request without waiting for the answer."""
        request = Request(self.address, path, keep_alive=keep_alive)
        self._resources.callback(request.close)
        return request

    def open_websocket(self) -> WebSocket:
        """Return an open WebSocket."""
        websocket = WebSocket(self.address)
        self._resources.callback(websocket.vanish)
        return websocket

    def release(self, gate: str) -> None:
        """Let the code that waits at this gate go on."""
        (self._gates / f"{gate}.open").touch()

    def signal(self, number: signal.Signals, whom: str = "main") -> None:
        """Send an OS signal to the ``main`` process, to the ``group``, or to one ``worker``."""
        with contextlib.suppress(ProcessLookupError):
            if whom == "group":
                os.killpg(self.pid, number)
            elif whom == "worker":
                os.kill(self.journal.workers[-1], number)
            else:
                os.kill(self.pid, number)

    def wait(self, *, within: float = STOP_DEADLINE) -> None:
        """Wait for the end of the main process and of its group, and kill the processes left."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.hung = True
        else:
            deadline = time.monotonic() + GROUP_DEADLINE
            while self.alive() and time.monotonic() < deadline:
                threading.Event().wait(0.02)
            self.orphans = len(self.alive())
        self._kill()

    def report(self) -> str:
        """Return everything that helps to understand the launch."""
        journal = self.journal
        start = next((event.time for event in journal), 0.0)
        code = "still running" if self.code is None else f"exit code {self.code}"
        return "\n".join(
            [
                f"command: {' '.join(self.command)}",
                code + (", hung and was killed" if self.hung else ""),
                "journal:",
                *(f"  {event.time - start:7.3f} s  {event.pid}  {event}" for event in journal),
                "last lines of output:",
                *(f"  {line}" for line in self.output.splitlines()[-40:]),
            ]
        )

    def end(self) -> None:
        """Close the connections, and kill the processes that are left of the group."""
        self._resources.close()
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pid in self.alive():  # of the same session, but of another group
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _fill(word: str, places: Mapping[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word


def _is_running(pid: int, *, group: int) -> bool:
    try:
        return os.getsid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def _clean_environment() -> dict[str, str]:
    """Return this process's environment without variables that change a server's behaviour."""
    prefixes = ("PYTHON", "UV", "VIRTUAL_ENV", "DJANGO", "GUNICORN", "WEB_CONCURRENCY", "UVICORN")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def launched(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    unix: bool = False,
    occupied: bool = False,
) -> Generator[Launch]:
    """Yield the launch of *command*, with ``{port}`` and ``{socket}`` filled in. End it after.

    Args:
        unix: it listens on a unix socket.
        occupied: somebody else listens on the port.
    """
    # A unix socket's path may be no longer than about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        launch = Launch(command, environment, unix=unix, occupied=occupied, folder=Path(folder))
        try:
            yield launch
        finally:
            launch.end()
