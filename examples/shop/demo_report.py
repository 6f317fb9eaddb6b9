"""The events of the shop, gathered from all sides: a timeline to look at, and a verdict."""

from collections.abc import Sequence

from rich.console import Console

from django_asgi_lifespan.timeline import ASCII, BOXES, Event, Timeline

__all__ = ("Event", "Report")


class Report(Timeline):
    """The events of one run, and the problems that were found in it, a sentence each."""

    def __init__(self, resources: Sequence[str]) -> None:
        super().__init__(resources)
        self.requests: list[Event] = []
        self.problems: list[str] = []

    def add_request(self, event: Event) -> None:
        """Add an answered request."""
        self.requests.append(event)
        self.others.append(event)

    def expect(self, condition: object, otherwise: str) -> None:
        """Add a problem unless the condition holds."""
        if not condition:
            self.problems.append(otherwise)

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
        boxes = ASCII if console.options.ascii_only else BOXES
        console.print(self.draw(boxes), no_wrap=True, soft_wrap=True)

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
