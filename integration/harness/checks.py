"""How each probe's question is answered from what was seen of one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from .client import Answer
from .scenarios import Observation

Check = Callable[[Observation], str]

PASS, FAIL, PARTIAL, BLOCKED = "pass", "fail", "partial", "blocked"
YES, NO = "yes", "no"
NAMES = ["base", "dependent"]
"""What the state holds after a startup of the project."""


def verdict(holds: object) -> str:
    """Return ``pass`` or ``fail``."""
    return PASS if holds else FAIL


def started(seen: Observation) -> bool:
    """Whether any worker began its startup: nothing that is required holds without it."""
    return bool(seen.journal.workers)


def _answer(seen: Observation, name: str) -> Answer:
    answer = seen.seen.get(name, Answer(None, "not sent"))
    return answer if isinstance(answer, Answer) else Answer(None, "not sent")


def _content(seen: Observation, name: str) -> dict[str, Any]:
    content = _answer(seen, name).content
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


# What is left of the lifespan


def _is_closed(seen: Observation, pid: int) -> bool:
    """Whether whatever was open in one worker was closed, once, dependants first."""
    story = [str(event) for event in seen.journal.of(pid)]
    for name in NAMES:
        if story.count(f"{name} open") != story.count(f"{name} closing"):
            return False
    if story.count("base closing") != story.count("base closed"):
        return False
    if "dependent closing" in story and "base closing" in story:
        return story.index("dependent closing") < story.index("base closing")
    return True


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


def closes_the_others(seen: Observation) -> str:
    """As ``closes``, where the resource ``dependent`` does not get to the end of its shutdown."""
    if not started(seen) or seen.hung or seen.orphans:
        return FAIL
    closed = [_is_closed(seen, pid) for pid in seen.journal.workers]
    return PASS if all(closed) else PARTIAL if any(closed) else FAIL


def closes_or_never_starts(seen: Observation) -> str:
    """As ``closes``; a worker that ends before its startup has nothing to close."""
    if seen.hung or seen.orphans:
        return FAIL
    workers = seen.journal.workers
    return PASS if not workers else closes(seen)


# Startup


def startup_first(seen: Observation) -> str:
    """No worker served before all of its resources were open."""
    if not started(seen):
        return FAIL
    served = False
    for pid in {event.pid for event in seen.journal}:
        story = [str(event) for event in seen.journal.of(pid)]
        requests = [index for index, event in enumerate(story) if event.endswith("request begun")]
        served = served or bool(requests)
        if requests and "asgi_startup sent" not in story[: requests[0]]:
            return FAIL
    return verdict(served)


def once_per_worker(seen: Observation) -> str:
    """There are as many workers as asked for, and each started up once."""
    workers = seen.journal.workers
    once = all(seen.journal.of(pid).count("dependent opening") == 1 for pid in workers)
    return verdict(once and len(workers) == seen.processes)


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


def one_task(seen: Observation) -> str:
    """A resource is opened and closed in the same task."""
    tasks = {
        (event.pid, event.task)
        for event in seen.journal
        if event.subject == "dependent" and event.event in {"open", "closing"}
    }
    closed = seen.journal.count("dependent closing")
    return verdict(closed and len(tasks) == len(seen.journal.workers))


def never_serves(seen: Observation) -> str:
    """After a failed startup nothing was served, and the server ended by itself with an error."""
    if not started(seen):
        return FAIL
    served = seen.journal.count("request begun")
    if served:
        return FAIL
    return verdict(seen.seen.get("ended") and seen.code)


def no_storm(seen: Observation) -> str:
    """A startup that fails is not tried again and again."""
    if not started(seen):
        return FAIL
    return verdict(seen.journal.count("base opening") <= 2 * seen.processes)


def rolls_back(seen: Observation) -> str:
    """What had started before the one that failed was closed."""
    opened = seen.journal.count("base open")
    return verdict(opened and opened == seen.journal.count("base closed"))


def reason_logged(seen: Observation) -> str:
    """The log has the reason: the traceback of the user's own error, once a worker."""
    if not started(seen):
        return FAIL
    tracebacks = seen.output.count("ValueError: the startup failed on purpose")
    foreign = seen.output.count("Traceback (most recent call last)")
    workers = seen.journal.count("base opening")
    return verdict(tracebacks >= workers and foreign <= workers)


def limit_logged(seen: Observation) -> str:
    """The log names the resource that did not start in time."""
    return verdict(started(seen) and "dependent" in seen.output)


def starts_in_time(seen: Observation) -> str:
    """A startup that takes longer than the server's time limit for workers is let be."""
    return verdict(seen.seen.get("startups") == seen.processes and not seen.hung)


# State


def _has_state(content: dict[str, Any]) -> bool:
    return content.get("state") == NAMES


def state_in_http(seen: Observation) -> str:
    """A request has the state."""
    return verdict(_has_state(_content(seen, "first")))


def state_on_keep_alive(seen: Observation) -> str:
    """A later request on the same connection has it too."""
    return verdict(_has_state(_content(seen, "second")))


def state_is_isolated(seen: Observation) -> str:
    """A key that one request adds is not there in the next."""
    changed = "changed" in _content(seen, "changed").get("state", [])
    return verdict(changed and _content(seen, "second").get("state") == NAMES)


def state_is_shallow(seen: Observation) -> str:
    """An object in the state is the same in every request of the worker."""
    return verdict(_content(seen, "second").get("shared") == ["item"])


def state_in_websocket(seen: Observation) -> str:
    """A WebSocket has it."""
    return verdict(seen.seen.get("state") == NAMES)


def get_in_async_view(seen: Observation) -> str:
    """An async view gets the resource's value."""
    return verdict(_content(seen, "first").get("get") == "value")


def get_in_sync_view(seen: Observation) -> str:
    """A sync view does."""
    return verdict(_content(seen, "sync").get("get") == "value")


# Requests in flight


def finishes_request(seen: Observation) -> str:
    """The request in flight is answered, with its resources, and then they are closed."""
    if not started(seen):
        return FAIL
    answer = _answer(seen, "held")
    useful = _content(seen, "held").get("get") == "value" or answer.content == "value\n"
    ended = [str(event) for event in seen.journal]
    order = True
    for pid in {event.pid for event in seen.journal if "held request" in str(event)}:
        ended = [str(event) for event in seen.journal.of(pid)]
        if "base closing" in ended and "held request ended" in ended:
            order = ended.index("held request ended") < ended.index("base closing")
    return verdict(answer.status == 200 and useful and order)


def websocket_told(seen: Observation) -> str:
    """An open WebSocket is closed with 1012, "service restart"."""
    return verdict(started(seen) and seen.seen.get("code") == 1012)


def notice_first(seen: Observation) -> str:
    """The stopping notice comes while the request is still in flight."""
    for pid in {e.pid for e in seen.journal if str(e).endswith(("request ended", "stream ended"))}:
        story = [str(event) for event in seen.journal.of(pid)]
        if "asgi_stopping sent" not in story:
            return FAIL
        ended = [i for i, event in enumerate(story) if event.endswith(("est ended", "eam ended"))]
        return verdict(story.index("asgi_stopping sent") < ended[0])
    return FAIL


# Workers that come and go


def replaces(seen: Observation) -> str:
    """The worker that leaves closes, the one that comes starts up, and both are gone at the end."""
    if not started(seen) or not seen.seen.get("replaced"):
        return FAIL
    return closes(seen)


def replaces_in_place(seen: Observation) -> str:
    """As ``replaces``; the old and the new lifespan may live in one process."""
    if not started(seen) or not seen.seen.get("replaced") or seen.hung or seen.orphans:
        return FAIL
    opened = seen.journal.count("base open")
    return verdict(opened >= 2 and opened == seen.journal.count("base closed"))


def replaces_killed(seen: Observation) -> str:
    """A new worker starts up in place of the killed one; all others close at the end."""
    if not started(seen) or not seen.seen.get("replaced") or seen.hung or seen.orphans:
        return FAIL
    others = [pid for pid in seen.journal.workers if seen.journal.of(pid).count("base closed")]
    return verdict(len(others) == len(seen.journal.workers) - 1)


def loses_no_request(seen: Observation) -> str:
    """Every request was answered."""
    statuses = seen.seen.get("statuses", [])
    return verdict(started(seen) and statuses and set(statuses) == {200})


def hup_is_clean(seen: Observation) -> str:
    """Upon SIGHUP workers are replaced, or the server stops; either way everything is closed."""
    if not started(seen) or not (seen.seen.get("replaced") or seen.seen.get("ended")):
        return FAIL
    return closes(seen)


def untouched(seen: Observation) -> str:
    """Nothing of the application was started."""
    if not seen.seen.get("ended"):
        return FAIL
    return verdict(seen.code and not started(seen))


# The log


def exit_functions_run(seen: Observation) -> str:
    """Every worker ended as Python programs do, not by an OS signal."""
    return YES if seen.journal.count("atexit run") >= seen.processes else NO


def quiet(seen: Observation) -> str:
    """No warning, no traceback."""
    if not started(seen):
        return FAIL
    noise = ("Traceback", "Warning", "never awaited", "was destroyed", "unsupported")
    return verdict(not any(word in seen.output for word in noise))


def shutdown_error_logged(seen: Observation) -> str:
    """The log has the error that was raised in the shutdown."""
    return verdict(started(seen) and "the shutdown failed on purpose" in seen.output)


def says_no_lifespan(seen: Observation) -> str:
    """The log says that resources were registered and never started."""
    return YES if "not started the lifespan" in seen.output else NO


def refuses_trio(seen: Observation) -> str:
    """The log says why the application cannot run there, and the server ends, serving nothing."""
    said = "Django runs on asyncio alone" in seen.output
    return verdict(said and seen.seen.get("ended") and not seen.seen.get("statuses"))


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        closes,
        closes_the_others,
        closes_or_never_starts,
        startup_first,
        once_per_worker,
        in_the_serving_loop,
        one_task,
        never_serves,
        no_storm,
        rolls_back,
        reason_logged,
        limit_logged,
        starts_in_time,
        state_in_http,
        state_on_keep_alive,
        state_is_isolated,
        state_is_shallow,
        state_in_websocket,
        get_in_async_view,
        get_in_sync_view,
        finishes_request,
        websocket_told,
        notice_first,
        replaces,
        replaces_in_place,
        replaces_killed,
        loses_no_request,
        hup_is_clean,
        untouched,
        exit_functions_run,
        quiet,
        shutdown_error_logged,
        says_no_lifespan,
        refuses_trio,
    )
}
