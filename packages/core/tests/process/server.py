"""Starts a process for a test, and tells what became of it: journal, exit code, output, answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from integration.harness.ports import HOST, hold_port

HERE = Path(__file__).parent
DEADLINE = 30.0
"""Seconds for whatever a test waits for; many times what it takes."""

CHANGE_INTERVAL = 3.0
"""Seconds between two changes of a file; many times what it takes to notice one."""


class Entry(NamedTuple):
    """One line of the journal."""

    pid: int
    subject: str
    event: str
    time: float


class Answer(NamedTuple):
    """What a client got."""

    status: int
    content: Any


class Process:
    """A process of the test project, in a process group of its own.

    Its events, as ``story`` and ``wait_for`` have them, are written ``"pool open"``: the subject
    and what happened to it.

    Attributes:
        port: where it is told to listen.
    """

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._command = command
        self._journal = folder / "journal"
        self._gates = folder / "gates"
        self._output = folder / "output"
        self._gates.mkdir()
        self._journal.touch()
        self._connections = contextlib.ExitStack()
        self._port_holder = self._connections.enter_context(hold_port())
        self.port: int = self._port_holder.getsockname()[1]
        if sys.platform != "linux":  # there, two sockets cannot be bound to one port
            self._port_holder.close()
        variables = {"JOURNAL": str(self._journal), "GATES": str(self._gates), **environment}
        self._command = [word.replace("{port}", str(self.port)) for word in command]
        with self._output.open("wb") as output, _os_signals_not_ignored():
            self._process = subprocess.Popen(
                self._command,
                cwd=HERE,
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def journal(self) -> list[Entry]:
        """Return what happened until now."""
        # The last line ends with a newline, or is still being written.
        lines = self._journal.read_bytes().split(b"\n")[:-1]
        return [Entry(**json.loads(line)) for line in lines]

    def story(self, pid: int | None = None) -> list[str]:
        """Return the events until now, of one process or of all."""
        return [
            f"{entry.subject} {entry.event}" for entry in self.journal() if pid in (None, entry.pid)
        ]

    def pids(self) -> list[int]:
        """Return the processes that have something in the journal, in order of appearance."""
        return list(dict.fromkeys(entry.pid for entry in self.journal()))

    def stories(self) -> list[list[str]]:
        """Return the events of each process, in the order in which the processes appeared."""
        return [self.story(pid) for pid in self.pids()]

    def output(self) -> str:
        """Return what the process printed until now, to stdout and stderr."""
        return self._output.read_text(errors="replace")

    def noise(self) -> list[str]:
        """Return the lines of output that tell of more than the usual course of things."""
        course = ("INFO:     ", "django_asgi_lifespan INFO: ", "asyncio INFO: ")
        # In dev mode, asyncio notes whatever holds the loop for 0.1 s, as an import may do.
        slow = "asyncio WARNING: Executing "
        return [line for line in self.output().splitlines() if not line.startswith((*course, slow))]

    def wait_for(self, event: str, *, times: int = 1) -> None:
        """Return when *event* is in the journal, so many times."""
        self.until(lambda: self.story().count(event) >= times, f"{event!r}, {times} times")

    def wait_for_others(self, event: str, *, times: int = 1) -> None:
        """Return when *event* is in the journal, so many times; this process may have ended."""
        self.until(
            lambda: self.story().count(event) >= times, f"{event!r}, {times} times", alive=False
        )

    def wait_until_serving(self) -> None:
        """Return when a client can connect."""
        self.until(self.accepts, "an open port")

    def wait_until_refusing(self) -> None:
        """Return when no client can connect any more: the server has begun to stop."""
        self.until(lambda: not self.accepts(), "a closed port")

    def until(self, condition: Callable[[], object], what: str, *, alive: bool = True) -> None:
        """Return when *condition* is true; fail at the deadline, or if the process ended before.

        Unless it need not be *alive*.
        """
        deadline = time.monotonic() + DEADLINE
        while True:
            ended = alive and self._process.poll() is not None
            if condition():
                return
            assert not ended, f"the process ended while the test waited for {what}"
            assert time.monotonic() < deadline, f"the test waited in vain for {what}"
            threading.Event().wait(0.01)

    def accepts(self) -> bool:
        """Return whether a client can connect now."""
        try:
            socket.create_connection((HOST, self.port), timeout=DEADLINE).close()
        except (ConnectionRefusedError, ConnectionResetError):
            return False
        return True

    def get(self, path: str) -> Answer:
        """Return the answer to a request."""
        return self.answer(self.send(path))

    def send(self, path: str) -> http.client.HTTPConnection:
        """Send a request, and return its connection without waiting for the answer."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=DEADLINE)
        self._connections.callback(connection.close)
        connection.request("GET", path, headers={"Connection": "close"})
        return connection

    def answer(self, connection: http.client.HTTPConnection) -> Answer:
        """Return the answer to the request that was sent."""
        response = connection.getresponse()
        content = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(response.status, json.loads(content) if is_json else content)

    def release(self, subject: str, *, times: int = 1) -> None:
        """Let *subject* go on, which holds or will hold, so many times or in so many processes."""
        gate = self._gates / subject
        for _ in range(times):
            self.until(lambda: not gate.exists(), f"{subject!r} to go on")
            gate.touch()

    def change(self, file: Path, noticed: Callable[[], bool]) -> None:
        """Make *file* newer, and return when that is noticed.

        A reloader misses what changes before its first look, so the file is changed once more
        after a while; not at once, because a reloader may start anew for each change.
        """
        changed = -math.inf

        def is_noticed() -> bool:
            nonlocal changed
            if noticed():
                return True
            if time.monotonic() - changed > CHANGE_INTERVAL:
                changed = time.monotonic()
                os.utime(file, (0, file.stat().st_mtime + 1))
            return False

        self.until(is_noticed, f"a reload for {file.name}")

    def stop(self, how: str) -> None:
        """Send an OS signal to the process alone, or SIGINT to its whole group, as Ctrl+C does."""
        if how == "Ctrl+C":
            os.killpg(self._process.pid, signal.SIGINT)
        else:
            self._process.send_signal(signal.Signals[how])

    def stop_group(self, how: str) -> None:
        """Send an OS signal to the process and all that it has started."""
        os.killpg(self._process.pid, signal.Signals[how])

    def hurry(self, until: str) -> None:
        """Press Ctrl+C again and again, until these words are in the output."""

        def press() -> bool:
            found = until in self.output()
            if not found:
                self.stop("Ctrl+C")
            return found

        self.until(press, f"{until!r} in the output")

    def wait(self) -> int:
        """Return the exit code, which is negative after death by a signal."""
        return self._process.wait(DEADLINE)

    def report(self) -> str:
        """Return everything that helps to understand a failure."""
        code = self._process.poll()
        start = min((entry.time for entry in self.journal()), default=0)
        return "\n".join(
            [
                f"command: {' '.join(self._command)}",
                "still running" if code is None else f"exit code: {code}",
                "journal:",
                *(
                    f"  {entry.time - start:7.3f} s  {entry.pid}  {entry.subject} {entry.event}"
                    for entry in self.journal()
                ),
                "last lines of output:",
                *(f"  {line}" for line in self.output().splitlines()[-60:]),
            ]
        )

    def end(self) -> None:
        """Kill the whole process group, whatever is left of it."""
        self._connections.close()
        # Without a process in it, the group is gone; macOS says EPERM where only zombies are left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def _os_signals_not_ignored() -> Iterator[None]:
    """Start a process as a terminal does; a shell lets its background jobs ignore some of them."""
    handlers = {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    if sys.platform != "win32":
        handlers[signal.SIGQUIT] = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def start(
    folder: Path, command: list[str], django_app: str, environment: dict[str, str]
) -> Iterator[Process]:
    """Run *command* with ``{port}`` filled in; print a report if the block fails; end it after."""
    project = {"DJANGO_APP": f"project.{django_app}", "DJANGO_SETTINGS_MODULE": "project.settings"}
    process = Process(command, project | environment, folder)
    try:
        yield process
    except BaseException:
        print(process.report())  # noqa: T201
        raise
    finally:
        process.end()
