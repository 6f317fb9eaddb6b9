"""The page of the surroundings: the answers that differ from those without them."""

from __future__ import annotations

from collections.abc import Iterator

from .book import WORDS, Book
from .probes import Probe
from .server_page import MARKER, reason
from .targets import Target

HEAD = """\
# Surroundings

Programs and applications around a server can change its start and its stop. Each target below
runs the scenarios that they can break. An application in front was tried with the usual commands
and the adapters installed, everything else with our commands. gunicorn always has our worker
classes.

**same**: each answer is the one without the surroundings. [Compatibility](../compatibility.md)
explains the words."""


def surroundings_page(book: Book) -> str:
    """Return the page: a table with a row for each surroundings, and the reasons of differences."""
    targets = {(t.surroundings, _way(t)): t for t in book.targets if t.id in book.results}
    ways = dict.fromkeys(way for title, way in targets if title)
    table = ["| | " + " | ".join(ways) + " |", "|---" * (len(ways) + 1) + "|"]
    for title in dict.fromkeys(title for title, _ in targets if title):
        cells = [_cell(book, targets.get((title, way))) for way in ways]
        table.append(f"| {title} | " + " | ".join(cells) + " |")
    found = [line for target in targets.values() for line in _differences(book, target)]
    lines = ["| Target | Question | Reason |", "|---|---|---|", *found]
    tables = ["\n".join(table)]
    if found:
        tables += ["## The answers that differ", "\n".join(lines)]
    return "\n\n".join([MARKER, HEAD, *tables]) + "\n"


def _way(target: Target) -> str:
    return target.inner.partition(".")[0]


def _cell(book: Book, target: Target | None) -> str:
    if target is None:
        return ""
    differing = len([*_differing(book, target)])
    return f"{differing} differ" if differing > 1 else "1 differs" if differing else "same"


def _differing(book: Book, target: Target) -> Iterator[Probe]:
    """Yield the probes whose answers are not those without the surroundings."""
    if not target.surroundings:
        return
    for probe in book.probes:
        if probe.unanswered(target):
            continue
        if book.results[target.id].outcome(probe.id) != book.results[target.inner].outcome(
            probe.id
        ):
            yield probe


def _differences(book: Book, target: Target) -> Iterator[str]:
    for probe in _differing(book, target):
        outcome = book.results[target.id].outcome(probe.id)
        answer = f"{probe.question} {WORDS.get(outcome, outcome)}"
        yield f"| `{target.shown}` | {answer} | {reason(book, target, probe)} |"
