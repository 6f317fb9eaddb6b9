"""The part of the page Why that the results tell: each server at each OS signal, with a drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .book import SETUPS, Book
from .checks import FAIL, PASS
from .drawing import drawing
from .probes import Probe
from .results import VARIES, Result
from .server_page import targets_of
from .summary import best
from .targets import Target

SIGNALS = {
    "stop-term": "SIGTERM",
    "stop-term-group": "SIGTERM to the group",
    "stop-int": "SIGINT",
    "stop-ctrl-c": "Ctrl+C",
    "stop-term-then-int": "SIGTERM, then Ctrl+C",
    "hup": "SIGHUP",
    "stop-quit": "SIGQUIT",
}
"""The name of an OS signal in the table, by the probe that asks for it."""

WORDS = {FAIL: "left open", VARIES: "varies"}
_SEVERAL = re.compile(r"\d x |; ")
"""In a sequence of events: of more than one worker."""


def os_signals(book: Book) -> str:
    """Return a section for each server, and for each worker class of gunicorn."""
    return "\n\n".join(
        part
        for server in book.servers
        for target in targets_of(book, server)
        if _is_shown(target)
        for part in _section(book, target)
    )


def _is_shown(target: Target) -> bool:
    """Whether it is one worker of a server that people choose, with our handler alone."""
    return (
        target.summary
        and target.setup == "handler"
        and target.suite == "all"
        and target.processes == 1
    )


def _section(book: Book, handler: Target) -> Iterator[str]:
    """Yield the drawings and the table of one way to run a server: our handler, and the adapter."""
    others = [
        target
        for target in targets_of(book, handler.server)
        if target.title == handler.title and target.setup in {"installed", "command"}
    ]
    targets = [handler, best(book, others)]
    results = [book.results[target.id] for target in targets]
    yield f"### {handler.title}"
    drawn: dict[str, list[str]] = {}
    for target, result in zip(targets, results, strict=True):
        drawn.setdefault(drawing(result), []).append(SETUPS[target.setup])
    version = f"{handler.server} {results[0].versions[handler.server]}"
    for text, setups in drawn.items():
        yield f"{version}, {' and '.join(setups).lower()}:"
        yield f"```\n{text}\n```"
    heads = ["OS signal", *(SETUPS[target.setup] for target in targets)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    probes = {probe.id: probe for probe in book.probes}
    for name, os_signal in SIGNALS.items():
        cells = [os_signal, *(_cell(result, probes[name]) for result in results)]
        lines.append("| " + " | ".join(cells) + " |")
    yield "\n".join(lines)


def _cell(result: Result, probe: Probe) -> str:
    """Return in two words how it ended, with the exit code."""
    outcome, stories = result.outcome(probe.id), result.events[probe.scenario]
    if not any("base open" in story for story in stories):
        words = "never opened"
    elif outcome == PASS:
        is_replaced = probe.id == "hup" and all(_SEVERAL.search(story) for story in stories)
        words = "new worker" if is_replaced else "closed"
    else:
        words = WORDS[outcome]
    return f"{words}, {' or '.join(sorted(result.endings[probe.scenario]))}"
