"""The pages: the compatibility page, and the table in the README, rendered from the results."""

from __future__ import annotations

from pathlib import Path

from .book import WORDS, Book
from .releases import read_releases
from .results import VERSIONS, read_results
from .section import section
from .summary import summary

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
README = ROOT / "README.md"
BEGIN = "<!-- compatibility: begin (written by `just matrix`) -->\n"
END = "<!-- compatibility: end -->\n"


def write() -> None:
    """Write the page and the README's table."""
    for path, text in _pages().items():
        path.write_text(text)


def differs() -> list[str]:
    """Return the pages that differ from their rendering."""
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
        README: f"{before}{BEGIN}\n{summary(book)}\n\n{END}{after}",
    }


def _page(book: Book) -> str:
    pythons = {result.python for result in book.results.values()}
    djangos = {result.versions["django"] for result in book.results.values()}
    parts = {
        "{python}": " and ".join(sorted(pythons)),
        "{django}": " and ".join(sorted(djangos)),
        "{summary}": summary(book),
        "{sentences}": "\n\n".join(
            f"**{server['title']}.** {server['sentence'].strip()}"
            for server in book.servers.values()
        ),
        "{releases}": _releases(book),
        "{servers}": "\n\n".join(
            text
            for name, server in book.servers.items()
            if (text := section(book, name, server["title"]))
        ),
    }
    page = (ROOT / "integration" / "page.md").read_text()
    for place, text in parts.items():
        page = page.replace(place, text)
    return page


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
        versions = ", ".join(f"{name} {version}" for name, version in release.versions.items())
        what = f"**{release.title}** ({versions}; Python {release.python})"
        lines.append(f"- {what}: {'' if differences else 'no difference.'}".rstrip())
        lines += differences
    return "\n".join(lines)
