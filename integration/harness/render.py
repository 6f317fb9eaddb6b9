"""Renders the compatibility page, and the table in the README, from the results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tomli

from .probes import FAIL, NOT_APPLICABLE, PASS, UNTESTED, Probe, read_probes
from .results import NOTED, VERSIONS, Notes, Result, read_notes, read_releases, read_results
from .targets import Target, read_targets

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
README = ROOT / "README.md"
BEGIN = "<!-- compatibility: begin (written by `just matrix`) -->\n"
END = "<!-- compatibility: end -->\n"
SPECIFICATION = "https://asgi.readthedocs.io/en/latest/specs/"
SETUPS = {
    "alone": "Stock Django",
    "core": "Our handler",
    "hooks": "Our adapter, the usual command",
    "adapter": "Our command or worker class",
}
ROWS = {
    "start": "Start",
    "state": "State",
    "boot failure": "Boot failure",
    "stop": "Stop",
    "recycle": "Recycle",
    "log": "Log",
    "": "Observations",
}
_WORDS = {
    PASS: "yes",
    FAIL: "**no**",
    "partial": "**in part**",
    "varies": "**varies**",
    "blocked": "**not reached**",
    NOT_APPLICABLE: "",
    UNTESTED: "not run",
}


class Book:
    """Everything that the pages are made of."""

    def __init__(self) -> None:
        self.targets = [target for target in read_targets().values() if not target.control]
        self.probes = read_probes()
        self.results = read_results()
        self.notes = read_notes()
        servers = (ROOT / "integration" / "servers.toml").read_text()
        self.servers: dict[str, dict[str, Any]] = tomli.loads(servers)


def write() -> None:
    """Write the page and the README's table."""
    for path, text in _pages().items():
        path.write_text(text)


def differs() -> list[str]:
    """Return which pages are not what the results make of them."""
    return [
        f"{path.name} is not what is rendered from the results: run `just matrix-render`."
        for path, text in _pages().items()
        if not path.exists() or path.read_text() != text
    ]


def _pages() -> dict[Path, str]:
    book = Book()
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return {
        PAGE: _page(book),
        README: f"{before}{BEGIN}\n{_summary(book)}\n\n{END}{after}",
    }


def _page(book: Book) -> str:
    pythons = {result.python for result in book.results.values()}
    djangos = {result.versions["django"] for result in book.results.values()}
    parts = {
        "{python}": " and ".join(sorted(pythons)),
        "{django}": " and ".join(sorted(djangos)),
        "{summary}": _summary(book),
        "{sentences}": "\n\n".join(
            f"**{server['title']}.** {server['sentence'].strip()}"
            for server in book.servers.values()
        ),
        "{releases}": _releases(book),
        "{servers}": "\n\n".join(
            section
            for name, server in book.servers.items()
            if (section := _server(book, name, server["title"]))
        ),
    }
    page = (ROOT / "integration" / "page.md").read_text()
    for place, text in parts.items():
        page = page.replace(place, text)
    return page


# Other releases


def _releases(book: Book) -> str:
    """Return what is otherwise with other releases."""
    lines: list[str] = []
    for name, release in read_releases().items():
        tried = read_results(VERSIONS / name)
        if not tried:
            continue
        differences = [
            f"  - {target}: {probe.question} "
            f"{_WORDS.get(theirs, theirs)}, instead of {_WORDS.get(ours, ours)}"
            for target, result in tried.items()
            for probe in book.probes
            if (ours := book.results[target].outcome(probe.id))
            != (theirs := result.outcome(probe.id))
        ]
        versions = ", ".join(f"{name} {version}" for name, version in release.versions.items())
        what = f"**{release.title}** ({versions}; Python {release.python})"
        lines.append(f"- {what}: {'' if differences else 'no difference.'}".rstrip())
        lines += differences
    return "\n".join(lines)


# The first table


NOT_STARTED = "does not start the lifespan"


def _summary(book: Book) -> str:
    shown = [target for target in book.targets if target.summary]
    verdicts = {target.id: _verdict(book, target) for target in shown}
    setups = [setup for setup in SETUPS if any(target.setup == setup for target in shown)]
    footer: list[str] = []
    if {verdicts[target.id] for target in shown if target.setup == "alone"} == {NOT_STARTED}:
        setups.remove("alone")  # a column that says one thing is a sentence
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
    """Return in words what a person can expect of a target."""
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


# One server


def _server(book: Book, name: str, title: str) -> str:
    targets = [t for t in book.targets if t.server == name and t.id in book.results]
    if not targets:
        return ""
    footnotes = _Footnotes(name, book.notes)
    lines = [f"## {title}", ""]
    for target in targets:
        command = " ".join(_readable(target))
        lines.append(f"- **{target.id}** ({SETUPS[target.setup].lower()}): `{command}`")
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


def _readable(target: Target) -> Iterable[str]:
    """Return the command as a person would type it, without the places of this launch."""
    words = list(target.command)
    for flag in ("--port", "--host", "--bind", "-p", "-b", "--uds"):
        while flag in words:
            index = words.index(flag)
            del words[index : index + 2]
    return (
        word.replace("{application}", "asgi:application").replace("{graceful}", "3")
        for word in words
        if "{port}" not in word
    )


def _versions(result: Result, server: str) -> str:
    """Return the versions of the server and of what changes how it works."""
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
    word = _WORDS.get(outcome, outcome)
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
