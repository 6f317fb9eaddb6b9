"""The pages about compatibility, and the parts of other pages that the results tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools import index_page

from .book import ROWS, SETUPS, WORDS, Book
from .os_signals import os_signals
from .releases import read_releases
from .results import NOTED, VERSIONS, read_results
from .server_page import MARKER, answers, question, server_page, targets_of
from .summary import NOT_STARTED, best, summary, verdict
from .surroundings import surroundings_page
from .targets import Target

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
WHY = DOCS / "why.md"
QUESTIONS = """\
# One question, every server

Each server is run with the setup that keeps most of the contract. The page of a server has the
reasons, and the other setups. [Compatibility](../compatibility.md) explains the words.

## Every question"""


def write() -> None:
    """Write the pages, the data, and the parts of other pages."""
    for path, text in _pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    index_page.main()  # it is made of the README


def differs() -> list[str]:
    """Return the pages that differ from their rendering."""
    return [
        f"{path.name} is not what is rendered from the results: run `just matrix-render`."
        for path, text in _pages().items()
        if not path.exists() or path.read_text() != text
    ]


def _pages() -> dict[Path, str]:
    book = Book()
    folder = DOCS / "compatibility"
    return {
        DOCS / "compatibility.md": _first_page(book),
        README: _filled(README, "compatibility", summary(book, "docs/compatibility/")),
        WHY: _filled(WHY, "signals", os_signals(book)),
        **{folder / f"{name}.md": server_page(book, name) for name in book.servers},
        folder / "questions.md": _questions_page(book),
        folder / "surroundings.md": surroundings_page(book),
        folder / "compatibility.json": json.dumps(_data(book), indent=1, sort_keys=True) + "\n",
    }


def _filled(page: Path, part: str, text: str) -> str:
    """Return a page that is written by hand, with the part of this name rendered anew."""
    begin = f"<!-- {part}: begin (written by `just matrix`) -->\n"
    end = f"<!-- {part}: end -->\n"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{text}\n\n{end}{after}"


def _first_page(book: Book) -> str:
    pythons = {result.python for result in book.results.values()}
    djangos = {result.versions["django"] for result in book.results.values()}
    parts = {
        "{python}": " and ".join(sorted(pythons)),
        "{django}": " and ".join(sorted(djangos)),
        "{summary}": summary(book, "compatibility/"),
        "{servers}": "\n".join(
            f"- [{server['title']}](compatibility/{name}.md)"
            for name, server in book.servers.items()
        ),
        "{releases}": _releases(book),
    }
    page = (ROOT / "integration" / "page.md").read_text()
    for place, text in parts.items():
        page = page.replace(place, text)
    return page


def _questions_page(book: Book) -> str:
    """Return the page for one question across the servers, each with its best setup."""
    servers = {
        server["title"]: best
        for name, server in book.servers.items()
        if (best := [*_best(book, name)])
    }
    parts = [MARKER, QUESTIONS]
    for row, title in ROWS.items():
        lines = [
            f"| {question(probe)} | " + " | ".join(cells) + " |"
            for probe in book.probes
            if probe.row == row
            and any(cells := [answers(book, probe, targets) for targets in servers.values()])
        ]
        head = ["| " + " | ".join([title, *servers]) + " |", "|---" * (len(servers) + 1) + "|"]
        parts.append("\n".join([*head, *lines]))
    return "\n\n".join(parts) + "\n"


def _best(book: Book, server: str) -> Iterator[Target]:
    """Yield for each way of the first table to run a server the target with the best setup."""
    ways: dict[str, list[Target]] = {}
    for target in targets_of(book, server):
        if target.summary and verdict(book, target) != NOT_STARTED:
            ways.setdefault(target.title, []).append(target)
    for targets in ways.values():
        yield best(book, targets)


def _data(book: Book) -> dict[str, Any]:
    """Return everything that the pages say, for programs."""
    return {
        "setups": SETUPS,
        "questions": {
            probe.id: {"question": probe.question, "row": probe.row, "specification": probe.spec}
            for probe in book.probes
        },
        "targets": {
            target.id: {
                "server": target.server,
                "title": target.title,
                "setup": target.setup,
                "surroundings": target.surroundings,
                "command": target.shown,
                "python": result.python,
                "versions": dict(result.versions),
                "verdict": verdict(book, target),
                "outcomes": {probe: result.outcome(probe) for probe in sorted(result.outcomes)},
                "notes": {
                    probe: {"text": note.text, "source": note.source}
                    for probe in sorted(result.outcomes)
                    if result.outcome(probe) in NOTED
                    for note in book.notes.find(target.id, probe)
                },
            }
            for target in book.targets
            if (result := book.results.get(target.id))
        },
    }


def _releases(book: Book) -> str:
    """Return the answers that other releases change."""
    lines: list[str] = []
    for name, release in read_releases().items():
        tried = read_results(VERSIONS / name)
        if not tried:
            continue
        differences = [
            f"  - {target}: {probe.question} "
            f"{WORDS.get(theirs, theirs)}, instead of {WORDS.get(ours, ours)}"
            for target, result in tried.items()
            for probe in book.probes
            if (ours := book.results[target].outcome(probe.id))
            != (theirs := result.outcome(probe.id))
        ]
        lines.append(f"- {release}: {'' if differences else 'no difference.'}".rstrip())
        lines += differences
    return "\n".join(lines)
