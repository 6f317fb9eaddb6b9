"""The first table: a verdict of a few words on each server and setup."""

from __future__ import annotations

from .book import ROWS, SETUPS, Book
from .checks import PASS
from .targets import Target

NOT_STARTED = "does not start the lifespan"


def summary(book: Book) -> str:
    """Return the table."""
    shown = [target for target in book.targets if target.summary]
    verdicts = {target.id: _verdict(book, target) for target in shown}
    setups = [setup for setup in SETUPS if any(target.setup == setup for target in shown)]
    footer: list[str] = []
    if {verdicts[target.id] for target in shown if target.setup == "stock"} == {NOT_STARTED}:
        setups.remove("stock")  # a column that says one thing is a sentence
        footer = ["", "With stock Django none of them starts the lifespan."]
    lines = [
        "| | " + " | ".join(SETUPS[setup] for setup in setups) + " |",
        "|---" * (len(setups) + 1) + "|",
    ]
    for title in dict.fromkeys(target.title for target in shown):
        cells = {target.setup: verdicts[target.id] for target in shown if target.title == title}
        lines.append(f"| `{title}` | " + " | ".join(cells.get(each, "") for each in setups) + " |")
    return "\n".join(lines + footer)


def _verdict(book: Book, target: Target) -> str:
    """Return in words how a target fares."""
    result = book.results.get(target.id)
    if result is None:
        return "not run"
    required = [probe for probe in book.probes if probe.required and not probe.unanswered(target)]
    failing = [probe for probe in required if result.outcome(probe.id) != PASS]
    if not required:
        return "refused with the reason" if result.outcome("trio-refused") == PASS else "fails"
    if any(probe.id == "startup-before-requests" for probe in failing):
        return NOT_STARTED
    if not failing:
        return "works"
    rows = [title for row, title in ROWS.items() if any(probe.row == row for probe in failing)]
    return f"works, but for {len(failing)} of {len(required)}: {', '.join(rows).lower()}"
