"""A drawing of one launch: when each resource was open, as the journal of a worker has it."""

from __future__ import annotations

from collections.abc import Iterator

from .results import Result

SCENARIO = "term-group"
"""SIGTERM to the whole process group, as systemd sends it."""


def drawing(result: Result) -> str:
    """Return the drawing of the scenario, or nothing where the target does not run it."""
    stories = sorted(result.events.get(SCENARIO, ()))
    if not stories or not stories[0]:
        return ""
    story, _, others = stories[0].partition("; ")
    _, _, events = story.rpartition(" x ")
    lines = [*_lines(events.split(", "))] or ["nothing is opened"]
    if others or len(stories) > 1:
        lines.append("(other workers, or other launches, were different)")
    code = ", ".join(sorted(result.endings[SCENARIO]))
    return "\n".join([*lines, f"exit code {code}"])


def _lines(events: list[str]) -> Iterator[str]:
    names = list(
        dict.fromkeys(name for name, _, event in map(_parts, events) if event in {"open", "closed"})
    )
    states = dict.fromkeys(names, " ")
    for name, _, event in map(_parts, events):
        if event not in {"open", "closed", "sent"}:
            continue
        marks = dict(states)
        if name in names:
            marks[name] = "┬" if event == "open" else "┴"
            states[name] = "│" if event == "open" else " "
        yield f"{' '.join(marks.values())}  {name} {event}"
    if "│" in states.values():
        left = ", ".join(name for name, state in states.items() if state == "│")
        yield f"{' '.join(states.values())}  {left} left open"


def _parts(event: str) -> tuple[str, str, str]:
    return event.rpartition(" ")
