"""The rules that the journal of every story keeps, in any order of events."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from integration.harness.client import Answer
from testkit.journal import Journal

from .story import ResourceSpec, Story

ENDS_OF_OPENING = ("open", "opening failed", "opening interrupted")
ENDS_OF_CLOSING = ("closed", "closing failed", "closing interrupted")
STOPS = ("SIGTERM", "SIGINT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a story that has been played.

    Attributes:
        sent: the OS signals that reached a process.
        code: the exit code of the main process.
        hung: it had to be killed.
        orphans: how many processes it left.
        answers: those that clients got.
    """

    journal: Journal
    sent: Sequence[str]
    code: int | None
    hung: bool
    orphans: int
    answers: Sequence[Answer]


def find_violations(story: Story, ending: Ending) -> list[str]:
    """Return a sentence for every rule that was broken."""
    found = [*_of_the_end(story, ending)]
    for pid in ending.journal.pids:
        journal = ending.journal.of(pid)
        for rule in (_of_each_resource, _of_the_order, _of_requests):
            found += [f"process {pid}: {sentence}" for sentence in rule(story, journal)]
    return found


def _of_the_end(story: Story, ending: Ending) -> Iterator[str]:
    if ending.hung:
        yield "the server did not end, and was killed"
        return
    numbers = [signal.Signals[name].value for name in ending.sent]
    allowed = {0, 1, 3, *(-number for number in numbers), *(128 + number for number in numbers)}
    if ending.code not in allowed:
        yield f"the exit code is {ending.code}"
    if ending.orphans:
        yield f"{ending.orphans} processes were left"
    for answer in ending.answers:
        if answer.status not in (200, 503, None):
            yield f"a client got {answer.status}"


def _of_each_resource(story: Story, journal: Journal) -> Iterator[str]:
    """Each is opened at most once, and one that was opened is closed exactly once."""
    for each in story.resources:
        events = [event.event for event in journal if event.subject == each.name]
        expected = ["opening", *events[1:2], "closing", *events[3:4]]
        complete = (
            not events
            or (len(events) == 2 and events[1] in ENDS_OF_OPENING[1:])
            or (len(events) == 4 and events[1] == "open" and events[3] in ENDS_OF_CLOSING)
        )
        if not complete or events != expected[: len(events)]:
            yield f"the events of {each.name} are {events}"


def _of_the_order(story: Story, journal: Journal) -> Iterator[str]:
    """Nothing opens after something closes; the order of opening and closing is that required."""
    events = journal.story
    closings = [index for index, event in enumerate(events) if event.endswith(" closing")]
    first = closings[0] if closings else len(events)
    # The thread of a synchronous one may have been about to begin.
    in_threads = {f"{each.name} opening" for each in story.resources if each.sync}
    for event in events[first:]:
        if event.endswith(" opening") and event not in in_threads:
            yield f"{event!r} comes after {events[first]!r}"
    for each in story.resources:
        yield from _of_requirements(each, events)
    if (announced := _index(events, "asgi_shutdown sent")) is not None and announced > first:
        yield "asgi_shutdown was sent after a resource had begun to close"
    if events.count("asgi_startup sent") > 1 or events.count("asgi_shutdown sent") > 1:
        yield "asgi_startup or asgi_shutdown was sent twice"


def _of_requirements(each: ResourceSpec, events: Sequence[str]) -> Iterator[str]:
    for required in each.requires:
        begins = _index(events, f"{each.name} opening")
        has = _index(events, f"{required} open")
        if begins is not None and (has is None or has > begins):
            yield f"{each.name} opened before {required}, which it requires"
        closing = _index(events, f"{required} closing")
        ends = [_index(events, f"{each.name} {end}") for end in ENDS_OF_CLOSING]
        last = next((end for end in ends if end is not None), None)
        was_open = _index(events, f"{each.name} open") is not None
        if closing is not None and was_open and (last is None or last > closing):
            yield f"{required} closed before {each.name}, which requires it"


def _of_requests(story: Story, journal: Journal) -> Iterator[str]:
    """A request begins when all is open, and ends before anything closes."""
    events = journal.story
    names = {"base", "dependent", *(each.name for each in story.resources)}
    open_names: set[str] = set()
    is_closing = False
    for event in events:
        subject, _, what = event.rpartition(" ")
        if subject in names and what == "open":
            open_names.add(subject)
        is_closing |= what == "closing"
        if subject.endswith("request") and what == "begun":
            if missing := names - open_names:
                yield f"a request began before {sorted(missing)} had opened"
            if is_closing:
                yield "a request began after a resource had begun to close"
        # A thread cannot be stopped, so a synchronous request may outlive a forced stop.
        if event == "request ended" and is_closing:
            yield "a request ended after a resource had begun to close"


def _index(events: Sequence[str], event: str) -> int | None:
    return events.index(event) if event in events else None
