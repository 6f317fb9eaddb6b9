"""The journal of a program under test: one JSON line for each event of its processes.

The program calls `write()`, and the test reads the file as a `Journal`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11


@functools.cache
def _file() -> int:
    return os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def write(subject: str, event: str) -> None:
    """Append one event of a subject: ``write("pool", "open")``.

    The line is written by one system call, so that no other process can write in the middle of it.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    line = {
        "pid": os.getpid(),
        "subject": subject,
        "event": event,
        "loop": id(task.get_loop()) if task else None,
        "task": id(task) if task else None,
        "thread": threading.get_ident(),
        "time": time.monotonic(),
    }
    os.write(_file(), json.dumps(line).encode() + b"\n")


class Event(NamedTuple):
    """One line of the journal, which reads ``"pool open"``.

    Attributes:
        loop, task: identify the event loop and the task that wrote it; None outside of a task.
        time: seconds on the machine's monotonic clock.
    """

    pid: int
    subject: str
    event: str
    loop: int | None
    task: int | None
    thread: int
    time: float

    def __str__(self) -> str:
        return f"{self.subject} {self.event}"


class Journal:
    """The events of one launch, in the order in which they were written."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = tuple(events)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the events that stand in the file now."""
        return cls.parse(path.read_bytes())

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Return the events in the content of a journal's file."""
        # The last line ends with a newline, or is still being written.
        lines = content.split(b"\n")[:-1]
        return cls(Event(**json.loads(line)) for line in lines)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    @property
    def pids(self) -> list[int]:
        """The processes that wrote something, in the order of their first event."""
        return list(dict.fromkeys(event.pid for event in self))

    @property
    def story(self) -> list[str]:
        """The events as words."""
        return [str(event) for event in self]

    def of(self, pid: int) -> Journal:
        """Return the events of one process."""
        return Journal(event for event in self if event.pid == pid)

    def find(self, words: str) -> list[Event]:
        """Return the events that read like *words*, such as ``"pool open"``."""
        return [event for event in self if str(event) == words]

    def count(self, words: str) -> int:
        """Return how often an event that reads like *words* happened."""
        return len(self.find(words))
