"""The timeline of a lifespan: its events in order, and beside them the resources that are open."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ("ASCII", "BOXES", "Event", "Timeline", "boxes_for")

BOXES = "┬│┴├└─"
"""The characters of drawings: a resource opens, is open, and closes, and the lines of a tree."""

ASCII = "+|+|+-"
"""The same for an output that has no others."""

_LOGGED = re.compile(r"(\d+\.\d+) INFO (\S+) (started|stopped) in (\d+) ms")
_HEAD = ("seconds", "open", "event", "result", "ms")
_LONGEST = 34


class Event(NamedTuple):
    """A line of the timeline: the end of an event, its name, and the milliseconds it took."""

    time: float
    what: str
    result: str = ""
    took: float | None = None


class Timeline:
    """The events of one lifespan.

    Attributes:
        resources: the names of the resources, in the order of their columns.
        opened, closed: the moments of each resource.
        others: the other events.
    """

    def __init__(self, resources: Sequence[str]) -> None:
        self.resources = resources
        self.opened: dict[str, Event] = {}
        self.closed: dict[str, Event] = {}
        self.others: list[Event] = []

    def note(self, what: str, result: str = "") -> None:
        """Add an event that happens now."""
        self.others.append(Event(time.time(), what, result))

    def read_log(self, lines: Iterable[str]) -> None:
        """Take from the log when each resource was opened and closed.

        The lines have the format ``%(created)f %(levelname)s %(message)s``. "stopped" is written
        when the code that closes the resource has run without an error.
        """
        for line in lines:
            if found := _LOGGED.fullmatch(line):
                when, name, step, took = found.groups()
                is_start = step == "started"
                events = self.opened if is_start else self.closed
                what = f"{name} {'opened' if is_start else 'closed'}"
                events[name] = Event(float(when), what, took=float(took))

    def draw(self, boxes: str = BOXES) -> str:
        """Return every event in order, beside a line for each resource while it is open."""
        events = [*self.others, *self.opened.values(), *self.closed.values()]
        events.sort(key=lambda event: event.time)
        rows: list[tuple[str, ...]] = [_HEAD]
        for event in events:
            marks = [self._mark(name, event, boxes) for name in self.resources]
            took = "" if event.took is None else f"{event.took:.0f}"
            seconds = f"{event.time - events[0].time:.3f}"
            result = textwrap.shorten(event.result, _LONGEST)
            rows.append((seconds, " ".join(marks), event.what, result, took))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(_padded(row, widths)).rstrip() for row in rows)

    def _mark(self, name: str, event: Event, boxes: str) -> str:
        """Return the text in the column of a resource beside the event."""
        top, side, bottom = boxes[0], boxes[1], boxes[2]
        opened, closed = self.opened.get(name), self.closed.get(name)
        if opened is None or event.time < opened.time:
            return " "
        if event is opened:
            return top
        if event is closed:
            return bottom
        return side if closed is None or event.time < closed.time else " "


def boxes_for(encoding: str | None) -> str:
    """Return the characters of drawings that an output of this encoding can show."""
    try:
        BOXES.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return ASCII
    return BOXES


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    for head, text, width in zip(_HEAD, row, widths, strict=True):
        yield text.rjust(width) if head in ("seconds", "ms") else text.ljust(width)
