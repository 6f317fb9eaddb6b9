"""What the application wrote about its own life, and questions about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Event(NamedTuple):
    """One line of the journal.

    Attributes:
        phase: ``import``, ``startup``, ``serving``, ``shutdown`` or ``exit``.
        time: seconds on the machine's monotonic clock.
    """

    pid: int
    phase: str
    event: str
    subject: str
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

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Return what has been written until now."""
        return cls.parse(path.read_bytes())

    @classmethod
    def parse(cls, content: bytes) -> Journal:
        """Return the events in the content of a journal's file."""
        # The last line ends with a newline, or is still being written.
        lines = content.split(b"\n")[:-1]
        return cls(Event(**json.loads(line)) for line in lines)

    def __len__(self) -> int:
        return len(self._events)

    def of(self, pid: int) -> Journal:
        """Return the events of one process."""
        return Journal(event for event in self if event.pid == pid)

    def find(self, what: str) -> list[Event]:
        """Return the events that read like *what*, such as ``"base open"``."""
        return [event for event in self if str(event) == what]

    def count(self, what: str) -> int:
        """Return how often *what* happened."""
        return len(self.find(what))

    @property
    def workers(self) -> list[int]:
        """The processes in which a startup was begun, in the order of their beginning."""
        return list(dict.fromkeys(event.pid for event in self if event.phase == "startup"))
