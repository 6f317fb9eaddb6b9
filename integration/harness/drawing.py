"""A drawing of one launch: when each resource was open, as the journal of a worker has it."""

from __future__ import annotations

from collections.abc import Iterator

from .results import Result

SCENARIO = "term-group-request"
"""SIGTERM to the whole process group, as systemd sends it, while a request is in flight."""

_STARTS, _OTHERS = {"open", "begun"}, {"sent"}
_SHOWN = _STARTS | _OTHERS | {"closed", "ended"}
_SIGNALLED = "held request begun"
"""The event after which the scenario sends the OS signal."""


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
    shown = [(*_parts(event), event) for event in events if _parts(event)[1] in _SHOWN]
    states = {name: " " for name, event, _ in shown if event not in _OTHERS}
    for name, event, whole in shown:
        marks = dict(states)
        if event not in _OTHERS:
            marks[name] = "┬" if event in _STARTS else "┴"
            states[name] = "│" if event in _STARTS else " "
        yield f"{' '.join(marks.values())}  {name} {event}"
        if whole == _SIGNALLED:
            yield f"{' '.join(states.values())}  SIGTERM"
    if left := [name for name, state in states.items() if state == "│"]:
        yield f"{' '.join(states.values())}  {', '.join(left)} left open"


def _parts(event: str) -> tuple[str, str]:
    """Return the name in the drawing, and the word for the event."""
    name, _, word = event.rpartition(" ")
    return name.removeprefix("held "), word
