"""The events of the shop, gathered from all sides: a timeline to look at, and a verdict."""

import re
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

LOGGED = re.compile(r"(\d+\.\d+) INFO (\w+) (started|stopped) in (\d+) ms")


@dataclass(frozen=True)
class Event:
    """A line of the timeline: the end of an event, its name, and the milliseconds it took."""

    time: float
    what: str
    result: str = ""
    took: float | None = None


class Report:
    """The events of one run, and the problems that were found in it, a sentence each."""

    def __init__(self, resources: Sequence[str]) -> None:
        self.resources = resources
        self.opened: dict[str, Event] = {}
        self.closed: dict[str, Event] = {}
        self.requests: list[Event] = []
        self.others: list[Event] = []
        self.problems: list[str] = []

    def note(self, what: str, result: str = "") -> None:
        """Add an event that happens now."""
        self.others.append(Event(time.time(), what, result))

    def expect(self, condition: object, otherwise: str) -> None:
        """Add a problem unless the condition holds."""
        if not condition:
            self.problems.append(otherwise)

    def read_log(self, lines: Sequence[str]) -> None:
        """Take from the server's log when each resource was opened and closed.

        The core writes "stopped" when the code that closes the resource has run without an error.
        """
        for line in lines:
            if found := LOGGED.fullmatch(line):
                when, name, step, took = found.groups()
                word, events = {
                    "started": ("opened", self.opened),
                    "stopped": ("closed", self.closed),
                }[step]
                events[name] = Event(float(when), f"{name} {word}", took=float(took))

    def check_resources(self) -> None:
        """Add a problem for each resource that was not open during all requests and closed then."""
        for name in self.resources:
            opened, closed = self.opened.get(name), self.closed.get(name)
            self.expect(opened, f"{name} was not opened.")
            self.expect(closed or not opened, f"{name} was opened and not closed.")
            for request in self.requests:
                self.expect(
                    not opened or opened.time < request.time,
                    f"{name} was opened after {request.what}.",
                )
                self.expect(
                    not closed or closed.time > request.time,
                    f"{name} was closed before {request.what}.",
                )

    def show_timeline(self, console: Console) -> None:
        """Print every event in order, beside a line for each resource while it is open."""
        events = [*self.others, *self.requests, *self.opened.values(), *self.closed.values()]
        events.sort(key=lambda event: event.time)
        table = Table("seconds", "open", "event", "result", "ms", box=None, pad_edge=False)
        for column in table.columns:
            column.no_wrap = True
            column.justify = "right" if column.header in ("seconds", "ms") else "left"
        for event in events:
            table.add_row(
                f"{event.time - events[0].time:.3f}",
                " ".join(self._mark(name, event, console) for name in self.resources),
                event.what,
                textwrap.shorten(event.result, 34),
                "" if event.took is None else f"{event.took:.0f}",
            )
        console.print(table)

    def show_verdict(self, console: Console) -> None:
        """Print in words whether everything that was opened was closed, and every problem."""
        if not self.opened:
            verdict = "Nothing was opened."
        elif self.opened.keys() <= self.closed.keys():
            verdict = "Everything that was opened was closed."
        else:
            verdict = "Not everything that was opened was closed."
        console.print(f"\n{verdict}", style="bold red" if self.problems else "bold green")
        for problem in self.problems:
            console.print(f"- {problem}")

    def _mark(self, name: str, event: Event, console: Console) -> str:
        """The text in the column of a resource beside the event."""
        top, side, bottom = "+|+" if console.options.ascii_only else "┬│┴"
        opened, closed = self.opened.get(name), self.closed.get(name)
        if opened is None or event.time < opened.time:
            return " "
        if event is opened:
            return top
        if event is closed:
            return bottom
        return side if closed is None or event.time < closed.time else " "
