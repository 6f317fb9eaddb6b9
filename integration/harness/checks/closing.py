"""Resources and processes that are left when the server has ended."""

from __future__ import annotations

from integration.harness.observation import Observation

from .common import FAIL, NAMES, PARTIAL, PASS, check, started, stories, verdict


def _is_closed(seen: Observation, pid: int) -> bool:
    """Whether everything that was open in one worker was closed, once, dependants first."""
    story = [str(event) for event in seen.journal.of(pid)]
    for name in NAMES:
        if story.count(f"{name} open") != story.count(f"{name} closing"):
            return False
    if story.count("base closing") != story.count("base closed"):
        return False
    if "dependent closing" in story and "base closing" in story:
        return story.index("dependent closing") < story.index("base closing")
    return True


@check
def closes(seen: Observation) -> str:
    """Everything that was opened is closed, and no process is left."""
    workers = seen.journal.workers
    if not workers or seen.hung:
        return FAIL
    closed = [_is_closed(seen, pid) and _finished_closing(seen, pid) for pid in workers]
    if all(closed):
        return verdict(not seen.orphans)
    return PARTIAL if any(closed) else FAIL


def _finished_closing(seen: Observation, pid: int) -> bool:
    events = seen.journal.of(pid)
    return events.count("dependent closing") == events.count("dependent closed")


@check
def closes_the_others(seen: Observation) -> str:
    """As ``closes``, where the resource ``dependent`` does not get to the end of its shutdown."""
    if not started(seen) or seen.hung or seen.orphans:
        return FAIL
    closed = [_is_closed(seen, pid) for pid in seen.journal.workers]
    return PASS if all(closed) else PARTIAL if any(closed) else FAIL


@check
def closes_or_never_starts(seen: Observation) -> str:
    """As ``closes``, but a worker that ends before its startup has nothing to close."""
    if seen.hung or seen.orphans:
        return FAIL
    workers = seen.journal.workers
    return PASS if not workers else closes(seen)


@check
def closes_connections(seen: Observation) -> str:
    """The database connections of requests were kept, and closed after the resources."""
    if not started(seen) or set(seen.client.statuses) != {200}:
        return FAIL
    opened = closed = 0
    for story in stories(seen):
        # `runserver` opens a connection by itself before it imports the application.
        events = story[story.index("base opening") :] if "base opening" in story else []
        opened += events.count("connection open")
        closed += events.count("connection closed")
        end = events.index("base closed") if "base closed" in events else None
        if "connection closed" in events[:end]:
            return FAIL
    return verdict(opened and opened == closed)
