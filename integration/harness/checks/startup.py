"""The startup: its time, its place, how often it runs, and the end of one that fails."""

from __future__ import annotations

from integration.harness.observation import Observation

from .common import FAIL, check, started, stories, verdict

BEGUN = ("request begun", "sync request begun", "held request begun")


@check
def startup_first(seen: Observation) -> str:
    """No worker served before all of its resources were open."""
    if not started(seen):
        return FAIL
    served = False
    for story in stories(seen):
        begun = [story.index(event) for event in BEGUN if event in story]
        served = served or bool(begun)
        if begun and "asgi_startup sent" not in story[: min(begun)]:
            return FAIL
    return verdict(served)


@check
def once_per_worker(seen: Observation) -> str:
    """There are as many workers as asked for, and each started up once."""
    workers = seen.journal.workers
    once = all(seen.journal.of(pid).count("dependent opening") == 1 for pid in workers)
    return verdict(once and len(workers) == seen.processes)


@check
def in_the_serving_loop(seen: Observation) -> str:
    """The startup ran in the event loop and the thread in which requests are served."""
    for pid in seen.journal.workers:
        events = seen.journal.of(pid)
        requests = events.find("request begun")
        opened = events.find("dependent open")
        if requests and opened:
            places = {(event.loop, event.thread) for event in (*requests, *opened)}
            return verdict(len(places) == 1)
    return FAIL


@check
def one_task(seen: Observation) -> str:
    """A resource is opened and closed in the same task."""
    tasks = {
        (event.pid, event.task)
        for event in seen.journal
        if event.subject == "dependent" and event.event in {"open", "closing"}
    }
    closed = seen.journal.count("dependent closing")
    return verdict(closed and len(tasks) == len(seen.journal.workers))


@check
def never_serves(seen: Observation) -> str:
    """After a failed startup nothing was served, and the server ended by itself with an error."""
    if not started(seen):
        return FAIL
    served = seen.journal.count("request begun")
    return verdict(not served and seen.client.ended and seen.code)


@check
def no_storm(seen: Observation) -> str:
    """A startup that fails is not tried again and again."""
    if not started(seen):
        return FAIL
    return verdict(seen.journal.count("base opening") <= 2 * seen.processes)


@check
def rolls_back(seen: Observation) -> str:
    """The resources that had started before the failing one were closed."""
    opened = seen.journal.count("base open")
    return verdict(opened and opened == seen.journal.count("base closed"))


@check
def reason_logged(seen: Observation) -> str:
    """The log has the reason: the traceback of the user's own error, once a worker."""
    if not started(seen):
        return FAIL
    tracebacks = seen.output.count("ValueError: the startup failed on purpose")
    foreign = seen.output.count("Traceback (most recent call last)")
    workers = seen.journal.count("base opening")
    return verdict(tracebacks >= workers and foreign <= workers)


@check
def limit_logged(seen: Observation) -> str:
    """The log names the resource that did not start in time."""
    return verdict(started(seen) and "dependent" in seen.output)


@check
def starts_in_time(seen: Observation) -> str:
    """A startup that takes longer than the server's time limit for workers is left alone."""
    return verdict(seen.client.startups == seen.processes and not seen.hung)
