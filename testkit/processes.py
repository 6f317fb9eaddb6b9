"""Processes under test: started in a group of their own, sent OS signals, waited for, and ended."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from testkit.client import DEADLINE, Address, Answer, Request, WebSocket, hold_port
from testkit.journal import Journal

SERVED = Path(__file__).parent / "served"
"""The folder that holds the Django project ``project``."""

CHANGE_INTERVAL = 3.0
"""Seconds between two changes of a file, many times more than a reloader needs to notice one."""
PRESS_INTERVAL = 0.25
"""Seconds between two presses of Ctrl+C. hypercorn hangs if an OS signal arrives while its parent
handles the one before (hypercorn/run.py:66 in 0.18.0)."""


class Process:
    """A process, its process group, and its journal. `start()` makes one.

    ``story()`` and ``wait_for()`` write an event ``"pool open"``: the subject and the event.

    Attributes:
        pid: the process's own, which is the number of its group and its session, too.
        address: where a server is told to listen.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        folder: Path,
        **options: Any,
    ) -> None:
        self._journal = folder / "journal"
        self._gates = folder / "gates"
        self._output = folder / "output"
        self._gates.mkdir()
        self._journal.touch()
        self._connections = contextlib.ExitStack()
        holder = self._connections.enter_context(hold_port())
        self.address = Address(holder.getsockname()[1])
        if sys.platform != "linux":  # there, two sockets cannot be bound to one port
            holder.close()
        self._command = [word.replace("{port}", str(self.port)) for word in command]
        variables = {
            **os.environ,
            **environment,
            "JOURNAL": str(self._journal),
            "GATES": str(self._gates),
            "PYTHONPATH": _python_path(environment.get("PYTHONPATH")),
        }
        with self._output.open("wb") as output, _os_signals_not_ignored():
            settings: dict[str, Any] = {
                "cwd": cwd,
                "env": variables,
                "stdin": subprocess.DEVNULL,
                "stdout": output,  # a file: it never waits for a reader
                "stderr": subprocess.STDOUT,
                "start_new_session": True,
                **options,
            }
            self._process = subprocess.Popen[bytes](self._command, **settings)
        self.pid = self._process.pid

    # Journal and output

    @property
    def port(self) -> int:
        """The port at which a server is told to listen."""
        return self.address.port

    @property
    def code(self) -> int | None:
        """The exit code, negative after death by an OS signal, or None while the process runs."""
        return self._process.poll()

    def journal(self) -> Journal:
        """Return the journal until now."""
        return Journal.read(self._journal)

    def story(self, pid: int | None = None) -> list[str]:
        """Return the events until now, of one process or of all."""
        journal = self.journal()
        return (journal if pid is None else journal.of(pid)).story

    def pids(self) -> list[int]:
        """Return the processes that have something in the journal, in order of appearance."""
        return self.journal().pids

    def stories(self) -> list[list[str]]:
        """Return the events of each process, in the order in which the processes appeared."""
        journal = self.journal()
        return [journal.of(pid).story for pid in journal.pids]

    def lifespans(self) -> list[list[str]]:
        """Return the events of each process, without those of requests and streams."""
        return [
            [event for event in story if not event.startswith(("request ", "stream "))]
            for story in self.stories()
        ]

    def output(self) -> str:
        """Return all output of the processes until now, stdout and stderr together."""
        return self._output.read_text(errors="replace")

    def noise(self) -> list[str]:
        """Return the lines of output that tell of more than the usual course of things."""
        course = ("INFO:     ", "django_asgi_lifespan INFO: ", "asyncio INFO: ")
        # In dev mode, asyncio notes all code that holds the loop for 0.1 s, as an import may do.
        slow = "asyncio WARNING: Executing "
        return [line for line in self.output().splitlines() if not line.startswith((*course, slow))]

    def report(self) -> str:
        """Return everything that helps to understand a failure."""
        journal = self.journal()
        start = min((event.time for event in journal), default=0)
        return "\n".join(
            [
                f"command: {' '.join(self._command)}",
                "still running" if self.code is None else f"exit code: {self.code}",
                "journal:",
                *(f"  {event.time - start:7.3f} s  {event.pid}  {event}" for event in journal),
                "last lines of output:",
                *(f"  {line}" for line in self.output().splitlines()[-60:]),
            ]
        )

    # Waiting

    def until(self, condition: Callable[[], object], words: str, *, alive: bool = True) -> None:
        """Return when *condition* is true.

        Args:
            words: name the condition in the error.
            alive: fail also if the process ends before.

        Raises:
            AssertionError: at the deadline.
        """
        deadline = time.monotonic() + DEADLINE
        while True:
            ended = alive and self.code is not None
            if condition():
                return
            assert not ended, f"the process ended while the test waited for {words}"
            assert time.monotonic() < deadline, f"the test waited in vain for {words}"
            threading.Event().wait(0.01)

    def wait_for(self, event: str, *, times: int = 1, alive: bool = True) -> None:
        """Return when *event* is in the journal, so many times."""
        self.until(
            lambda: self.journal().count(event) >= times, f"{event!r}, {times} times", alive=alive
        )

    def wait_for_output(self, pattern: str) -> re.Match[str]:
        """Return the first match of *pattern* in the output, as soon as there is one."""
        found: list[re.Match[str]] = []

        def appeared() -> bool:
            found.extend(re.finditer(pattern, self.output(), re.MULTILINE))
            return bool(found)

        self.until(appeared, f"{pattern!r} in the output")
        return found[0]

    def wait_until_serving(self) -> None:
        """Return when a client can connect."""
        self.until(self.accepts, "an open port")

    def wait_until_refusing(self, *, alive: bool = True) -> None:
        """Return when no client can connect any more: the server has begun to stop."""
        self.until(lambda: not self.accepts(), "a closed port", alive=alive)

    def wait(self) -> int:
        """Return the exit code, which is negative after death by an OS signal."""
        return self._process.wait(DEADLINE)

    def pass_time(self, seconds: float) -> None:
        """Return when so much time has passed, in which something must not happen."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, f"{seconds} s to pass")

    # Requests

    def accepts(self) -> bool:
        """Return whether a client can connect now."""
        return self.address.accepts()

    def send(self, path: str, *, keep_alive: bool = False) -> Request:
        """Send a request, and return it without waiting for the answer."""
        request = Request(self.address, keep_alive=keep_alive)
        self._connections.callback(request.close)
        request.send(path)
        return request

    def get(self, path: str) -> Answer:
        """Return the answer to a request."""
        return self.send(path).answer()

    def hold_a_request(self) -> Request:
        """Return a request that is in flight until the gate ``request`` lets it go on."""
        self.wait_until_serving()
        before = self.journal().count("request held")
        request = self.send("/held/")
        self.wait_for("request held", times=before + 1)
        return request

    def open_websocket(self) -> WebSocket:
        """Return an open WebSocket."""
        websocket = WebSocket(self.address)
        self._connections.callback(websocket.vanish)
        return websocket

    def type(self, text: str) -> None:
        """Write to the standard input, which has to be a pipe."""
        assert self._process.stdin
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    # Gates and files

    def release(self, gate: str, *, times: int = 1) -> None:
        """Let those go on that hold or will hold at *gate*, so many times or in so many processes.

        The last one may still be holding when this returns.
        """
        file = self._gates / gate
        for _ in range(times):
            self.until(lambda: not file.exists(), f"{gate!r} to go on")
            file.touch()

    def open_gate(self, gate: str) -> None:
        """Let all go on that hold or will ever hold at *gate*."""
        (self._gates / f"{gate}.open").touch()

    def change(self, file: Path, noticed: Callable[[], bool]) -> None:
        """Make *file* newer, and return when that is noticed.

        A reloader misses a change that comes before its first look, so the file is changed once
        more after a while. Not at once, because a reloader may start anew for each change.
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

    # OS signals

    def stop(self, how: str) -> None:
        """Send an OS signal to the process alone, or SIGINT to its whole group, as Ctrl+C does."""
        if how == "Ctrl+C":
            self.stop_group("SIGINT")
        else:
            self._process.send_signal(signal.Signals[how])

    def stop_group(self, how: str) -> None:
        """Send an OS signal to the process and all that it has started."""
        os.killpg(self.pid, signal.Signals[how])

    def stop_worker(self, how: str, index: int = 0) -> None:
        """Send an OS signal to one of the processes that have something in the journal."""
        os.kill(self.pids()[index], signal.Signals[how])

    def hurry(self, until: str) -> None:
        """Press Ctrl+C again and again, as a person would, until these words are in the output."""
        pressed = time.monotonic()

        def press() -> bool:
            nonlocal pressed
            found = until in self.output()
            if not found and time.monotonic() - pressed > PRESS_INTERVAL:
                self.stop("Ctrl+C")
                pressed = time.monotonic()
            return found

        self.until(press, f"{until!r} in the output")

    def end(self) -> None:
        """Kill the process group, or the processes that are left of it."""
        self._connections.close()
        # Without a process in it, the group is gone. macOS says EPERM where only zombies are left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def _python_path(wanted: str | None) -> str:
    """Return the folders that a program imports from: the wanted ones, and that of this package."""
    return os.pathsep.join(filter(None, [wanted, str(SERVED.parents[1])]))


@contextlib.contextmanager
def _os_signals_not_ignored() -> Generator[None]:
    """Start a process as a terminal does. A shell lets its background jobs ignore some of them."""
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
    command: Sequence[str],
    django_app: str = "",
    *,
    cwd: Path = SERVED,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Generator[Process]:
    """Run *command* with ``{port}`` filled in, print a report if the block fails, and end it.

    Args:
        django_app: the Django app of ``served/project`` that its ASGI application serves.
        environment: more variables, which override those that name the project.
        options: of `subprocess.Popen`.
    """
    project: dict[str, str] = {}
    if django_app:
        project["DJANGO_APP"] = f"project.{django_app}"
        project["DJANGO_SETTINGS_MODULE"] = "project.settings"
    with tempfile.TemporaryDirectory(prefix="testkit-") as folder:
        process = Process(
            command,
            cwd=cwd,
            environment=project | {**(environment or {})},
            folder=Path(folder),
            **options,
        )
        try:
            yield process
        except BaseException:
            print(process.report())  # noqa: T201
            raise
        finally:
            process.end()
