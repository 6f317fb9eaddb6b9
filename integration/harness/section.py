"""The section of one server: its targets, every answer that they gave, and the notes."""

from __future__ import annotations

from collections.abc import Sequence

from .book import ROWS, SETUPS, WORDS, Book
from .notes import Notes
from .probes import NOT_APPLICABLE, Probe
from .results import NOTED, Result
from .targets import Target

SPECIFICATION = "https://asgi.readthedocs.io/en/latest/specs/"


def section(book: Book, name: str, title: str) -> str:
    """Return the section, or nothing where no target of this server has a result."""
    targets = [t for t in book.targets if t.server == name and t.id in book.results]
    if not targets:
        return ""
    footnotes = _Footnotes(name, book.notes)
    lines = [f"## {title}", ""]
    lines += [f"- **{t.id}** ({SETUPS[t.setup].lower()}): `{t.shown}`" for t in targets]
    heads = [f"{t.id}<br>{_versions(book.results[t.id], name)}" for t in targets]
    lines += ["", "| | " + " | ".join(heads) + " |", "|---" * (len(targets) + 1) + "|"]
    for row, words in ROWS.items():
        probes = [
            probe
            for probe in book.probes
            if probe.row == row and any(_is_asked(probe, target) for target in targets)
        ]
        if not probes:
            continue
        lines.append(f"| **{words}** |" + " |" * len(targets))
        for probe in probes:
            cells = [_cell(probe, target, book.results[target.id], footnotes) for target in targets]
            lines.append(f"| {_question(probe)} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *footnotes.lines()]).strip()


def _is_asked(probe: Probe, target: Target) -> bool:
    return probe.unanswered(target) != NOT_APPLICABLE


def _versions(result: Result, server: str) -> str:
    """Return the versions of the server and of packages that change how it works."""
    names = [server, "uvicorn-worker", "uvicorn", "uvloop", "trio"]
    return ", ".join(
        f"{name} {result.versions[name]}"
        for name in dict.fromkeys(names)
        if name in result.versions
    )


def _question(probe: Probe) -> str:
    if not probe.spec:
        return f"{probe.question} <sub>{probe.id}</sub>"
    page, _, anchor = probe.spec.partition("#")
    return f"[{probe.question}]({SPECIFICATION}{page}.html#{anchor}) <sub>{probe.id}</sub>"


def _cell(probe: Probe, target: Target, result: Result, footnotes: _Footnotes) -> str:
    outcome = result.outcome(probe.id)
    word = WORDS.get(outcome, outcome)
    if outcome in NOTED:
        word += footnotes.refer(target.id, probe.id)
    return word


class _Footnotes:
    """Numbers the notes of one server in the order in which they are referred to."""

    def __init__(self, server: str, notes: Notes) -> None:
        self._server = server
        self._notes = notes
        self._numbers: dict[tuple[str, str], int] = {}

    def refer(self, target: str, probe: str) -> str:
        """Return the reference to the note of this outcome."""
        return "".join(
            f"[^{self._server}-{number}]"
            for note in self._notes.find(target, probe)
            for number in [
                self._numbers.setdefault((note.text, note.source), len(self._numbers) + 1)
            ]
        )

    def lines(self) -> Sequence[str]:
        """Return the notes."""
        return [
            f"[^{self._server}-{number}]: {text} *Source: {source}.*"
            for (text, source), number in self._numbers.items()
        ]
