"""The verdicts: how many questions a target answers with yes, and the table that says it first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .book import SETUPS, Book
from .checks import PASS
from .probes import Probe
from .targets import Target

NOT_STARTED = "no lifespan"


def required(book: Book, target: Target) -> list[Probe]:
    """Return the questions of the contract that this target is asked."""
    return [probe for probe in book.probes if probe.required and not probe.unanswered(target)]


def failing(book: Book, target: Target) -> list[Probe]:
    """Return those of them that it does not answer with yes."""
    result = book.results[target.id]
    return [probe for probe in required(book, target) if result.outcome(probe.id) != PASS]


def verdict(book: Book, target: Target) -> str:
    """Return in a few words how a target fares."""
    if target.id not in book.results:
        return "not run"
    asked = required(book, target)
    if not asked:
        refused = book.results[target.id].outcome("trio-refused") == PASS
        return "refused, with the reason" if refused else "fails"
    missed = failing(book, target)
    if any(probe.id == "startup-before-requests" for probe in missed):
        return NOT_STARTED
    return f"{len(asked) - len(missed)} of {len(asked)}" if missed else f"all {len(asked)}"


def differences(target: Target) -> str:
    """Return the heading of the part that explains the verdict."""
    return f"{target.title}: {SETUPS[target.setup][0].lower()}{SETUPS[target.setup][1:]}"


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as repository hosts and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def linked(book: Book, target: Target, folder: str) -> str:
    """Return the verdict, with a link to the questions that it does not answer with yes.

    Args:
        folder: leads from the page to the pages of the servers.
    """
    words = verdict(book, target)
    if " of " not in words:
        return words
    return f"[{words}]({folder}{target.server}.md#{anchor(differences(target))})"


def summary(book: Book, folder: str) -> str:
    """Return the table: for each way to launch a server the least to install, and its verdict."""
    lines = ["| You run | Install | You get |", "|---|---|---|"]
    ways: dict[str, list[Target]] = {}
    for target in book.targets:
        if target.summary and target.setup != "stock":
            ways.setdefault(target.title, []).append(target)
    for title, targets in ways.items():
        target = best(book, targets)
        lines.append(
            f"| `{title}` | {_install(book, target, folder)} | {linked(book, target, folder)} |"
        )
    return "\n".join(lines)


def best(book: Book, targets: Iterable[Target]) -> Target:
    """Return the target that keeps most of the contract, with the least to install."""
    return min(targets, key=lambda target: _rank(book, target))


def _rank(book: Book, target: Target) -> tuple[bool, int, int]:
    """Return how good it is: a lifespan at all, few failures, little to change."""
    return (
        verdict(book, target) == NOT_STARTED,
        len(failing(book, target)),
        [*SETUPS].index(target.setup),
    )


def _install(book: Book, target: Target, folder: str) -> str:
    if verdict(book, target) == NOT_STARTED or not required(book, target):
        return f"[another way]({folder}{target.server}.md)"
    return ", ".join(_parts(target))


def _parts(target: Target) -> Iterator[str]:
    yield "the core" if target.setup == "handler" else f"`[{target.server}]`"
    if target.setup == "command":
        worker = re.search(r"-k (django_asgi_lifespan_\S+)", target.shown)
        if worker:
            yield f"`-k {worker[1]}`"
        elif "manage.py" in target.shown:
            yield f"`django_asgi_lifespan_{target.server}` in `INSTALLED_APPS`"
        else:
            yield f"run `{target.server}-lifespan`"
