"""Server processes for tests: ready when they say so, read all the time, ended with their group."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import Any

START_LIMIT = 60.0
"""Seconds in which a process must say that it is ready; many more than it ever takes."""

STOP_LIMIT = 30.0
"""Seconds in which a process must end after it was told to."""


class Process:
    """A running process, both of whose output streams are read as one.

    Attributes:
        pid: its process id, which is that of its process group too.
    """

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )
        self.pid = self._process.pid
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._at_end = False
        self._reader = threading.Thread(target=self._read, name=f"reader of {command[0]}")
        self._reader.start()

    @property
    def output(self) -> str:
        """What it has printed until now."""
        with self._news:
            return "".join(self._lines)

    def wait_for(self, pattern: str, limit: float = START_LIMIT) -> re.Match[str]:
        """Return the first match of *pattern* in the output, as soon as there is one."""
        found: list[re.Match[str]] = []

        def appeared() -> bool:
            found.extend(re.finditer(pattern, "".join(self._lines), re.MULTILINE))
            return bool(found) or self._at_end

        with self._news:
            self._news.wait_for(appeared, limit)
        assert found, f"no {pattern!r} within {limit} s in the output:\n{self.output}"
        return found[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it an OS signal, and return its exit code when it and its output have ended."""
        self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {STOP_LIMIT} s:\n{self.output}") from None
        self._reader.join(STOP_LIMIT)
        return code

    def kill(self) -> None:
        """End whatever is left of its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._at_end = True
            self._news.notify_all()


@contextlib.contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[Process]:
    """Yield the process of *command*, started with *options* of Popen; end its group at the end."""
    process = Process(command, **options)
    try:
        yield process
    finally:
        process.kill()
