"""The page of one server: its verdicts, the answers that are not yes, and every question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .book import ROWS, SETUPS, WORDS, Book
from .drawing import drawing
from .probes import NOT_APPLICABLE, UNTESTED, Probe
from .results import NOTED
from .summary import NOT_STARTED, differences, failing, linked, verdict
from .targets import Target

MARKER = "<!-- Written by `just matrix` from integration/results: do not edit. -->"
SPECIFICATION = "https://asgi.readthedocs.io/en/latest/specs/"


def server_page(book: Book, name: str) -> str:
    """Return the page."""
    server = book.servers[name]
    targets = targets_of(book, name)
    shown = [target for target in targets if target.setup != "stock"]
    setups = [setup for setup in SETUPS if any(target.setup == setup for target in shown)]
    parts = [
        MARKER,
        f"# {server['title']}",
        server["sentence"].strip(),
        "[Compatibility](../compatibility.md) explains the setups and the words.",
        "## What you get",
        "\n".join(_verdicts(book, shown, setups)),
        *_explanations(book, shown),
        *_drawings(book, shown),
        "## Every question",
        "Where the ways to run the server differ, a cell names those that its answer is for.",
        *_questions(book, shown, setups),
        "## The launches",
        "\n".join(_launches(book, targets)),
    ]
    return "\n\n".join(parts) + "\n"


def targets_of(book: Book, server: str) -> list[Target]:
    """Return the targets of one server that have a result, without those with surroundings."""
    return [
        target
        for target in book.targets
        if target.server == server and not target.surroundings and target.id in book.results
    ]


def _verdicts(book: Book, targets: Sequence[Target], setups: Sequence[str]) -> Iterator[str]:
    yield "| You run | " + " | ".join(SETUPS[setup] for setup in setups) + " |"
    yield "|---" * (len(setups) + 1) + "|"
    for title in dict.fromkeys(target.title for target in targets):
        cells = {
            target.setup: linked(book, target, "") for target in targets if target.title == title
        }
        yield f"| `{title}` | " + " | ".join(cells.get(setup, "") for setup in setups) + " |"


def _explanations(book: Book, targets: Iterable[Target]) -> Iterator[str]:
    """Yield for each verdict that is not full its questions, each with the reason."""
    for target in targets:
        if " of " not in verdict(book, target):
            continue
        yield f"### {differences(target)}"
        told: dict[str, list[str]] = {}  # by reason
        for probe in failing(book, target):
            outcome = book.results[target.id].outcome(probe.id)
            answer = f"{probe.question} {WORDS.get(outcome, outcome)}"
            told.setdefault(reason(book, target, probe), []).append(answer)
        lines = [f"| {'<br>'.join(found)} | {why} |" for why, found in told.items()]
        yield "\n".join(["| Question | Reason |", "|---|---|", *lines])


def _drawings(book: Book, targets: Sequence[Target]) -> Iterator[str]:
    """Yield a drawing of one startup and one stop for each setup of the first way to run it."""
    drawn: dict[str, list[str]] = {}
    for target in targets:
        if target.title == targets[0].title and (text := drawing(book.results[target.id])):
            drawn.setdefault(text, []).append(SETUPS[target.setup])
    if drawn:
        yield "## One startup and one stop"
        yield (
            f"One worker of `{targets[0].title}`, from its start to SIGTERM to the whole process "
            "group,\nas systemd sends it, while a request is in flight.\n"
            "[Why](../why.md#each-server-at-each-os-signal) compares the servers."
        )
    for text, setups in drawn.items():
        yield f"{', '.join(setups)}:"
        yield f"```\n{text}\n```"


def reason(book: Book, target: Target, probe: Probe) -> str:
    """Return the note of an outcome with its source, or nothing where it needs none."""
    if book.results[target.id].outcome(probe.id) not in NOTED:
        return ""
    return " ".join(f"{note.text} *{note.source}*" for note in book.notes.find(target.id, probe.id))


def _questions(book: Book, targets: Sequence[Target], setups: Sequence[str]) -> Iterator[str]:
    """Yield a table for each row of the contract, and one for the observations."""
    shown = [each for each in targets if verdict(book, each) != NOT_STARTED] or targets
    setups = [setup for setup in setups if any(target.setup == setup for target in shown)]
    for row, title in ROWS.items():
        lines = [
            f"| {question(probe)} | " + " | ".join(cells) + " |"
            for probe in book.probes
            if probe.row == row
            and any(
                cells := [
                    answers(book, probe, [each for each in shown if each.setup == setup])
                    for setup in setups
                ]
            )
        ]
        if lines:
            heads = [title, *(SETUPS[setup] for setup in setups)]
            head = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
            yield "\n".join([*head, *lines])


def question(probe: Probe) -> str:
    """Return the question, with a link to the part of the specification that it rests on."""
    if not probe.spec:
        return probe.question
    page, _, place = probe.spec.partition("#")
    return f"[{probe.question}]({SPECIFICATION}{page}.html#{place})"


def answers(book: Book, probe: Probe, targets: Sequence[Target]) -> str:
    """Return the answers of several targets in one cell: the word, if it is the same for all."""
    told: dict[str, list[str]] = {}
    for target in targets:
        outcome = book.results[target.id].outcome(probe.id)
        if outcome != NOT_APPLICABLE:
            told.setdefault(outcome, []).append(f"`{target.title}`")
    if len(told) > 1:
        told.pop(UNTESTED, None)
    if len(told) == 1:
        return WORDS.get(*told, *told)
    return "<br>".join(
        f"{WORDS.get(outcome, outcome)}: {', '.join(titles)}" for outcome, titles in told.items()
    )


def _launches(book: Book, targets: Iterable[Target]) -> Iterator[str]:
    for target in targets:
        result = book.results[target.id]
        versions = ", ".join(
            f"{name} {result.versions[name]}"
            for name in dict.fromkeys([target.server, "uvicorn-worker", "uvicorn", "uvloop"])
            if name in result.versions
        )
        yield f"- {target.title}, {SETUPS[target.setup].lower()}: `{target.shown}`" + (
            f" ({versions})" if versions else ""
        )
