"""Stock uvicorn with the shop, as a process that never outlives the demo."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue

COMMAND = ("-m", "uvicorn", "project.asgi:application", "--port", "0")  # 0: the system chooses
DEADLINE = 60.0
"""Seconds after which the server is killed, even if it or the demo still waits."""


class Server:
    """The server process, in a process group of its own.

    Attributes:
        lines: its output so far, logs and all.
        timed_out: whether it was killed because it was still running at the deadline.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.timed_out = False
        self.process = subprocess.Popen(
            [sys.executable, *COMMAND],
            cwd=Path(__file__).parent,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._unread: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._watchdog = threading.Timer(DEADLINE, self._time_out)
        self._watchdog.start()

    def url(self) -> str:
        """Wait until uvicorn serves requests, and return its address, empty if it ended."""
        while line := self._unread.get():
            if found := re.search(r"Uvicorn running on (\S+)", line):
                return found[1]
        return ""

    def stop(self, number: signal.Signals) -> int:
        """Send an OS signal to the server, wait for its end, and return its exit code."""
        self.process.send_signal(number)
        self._reader.join()
        return self.process.wait()

    def close(self) -> None:
        """Leave nothing of the server behind, even after an error."""
        self._watchdog.cancel()
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self._reader.join()
        with self.process:
            pass  # waits, and closes the pipe

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip())
            self._unread.put(line)
        self._unread.put("")

    def _time_out(self) -> None:
        self.timed_out = True
        self.process.kill()
