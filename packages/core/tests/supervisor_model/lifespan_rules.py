"""The rules for the whole lifespan: its end, its answers to the server, its limits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from django_asgi_lifespan.protocol import Message
from django_asgi_lifespan.supervisor import GRACE
from supervisor_model.facts import Facts, names
from supervisor_model.story import EPSILON, Story
from supervisor_model.world import HORIZON


def right_outcome(facts: Facts) -> Iterator[str]:
    """The exception that ends the lifespan is the server's own, or there is none."""
    world = facts.world
    expected: type[BaseException] | None = None
    if facts.known_cancellations():
        expected = asyncio.CancelledError
    elif any(entry.what == "is broken" for entry in facts.journal):
        expected = ConnectionError
    if not isinstance(world.outcome, expected or type(None)):
        yield f"it ended with {world.outcome!r}"


def right_answers(facts: Facts) -> Iterator[str]:
    """The server gets one answer to each message, and a true one."""
    world = facts.world
    kinds = [message["type"].removeprefix("lifespan.") for message in world.answers]
    if world.outcome is None and kinds == ["startup.complete"]:
        yield "no answer to the shutdown"
    if kinds not in (
        [],
        ["startup.failed"],
        ["startup.complete"],
        ["startup.complete", "shutdown.complete"],
        ["startup.complete", "shutdown.failed"],
    ):
        yield f"answered {kinds}"
    if isinstance(world.outcome, asyncio.CancelledError):
        yield from (
            f"cancelled, and said {entry}"
            for entry in facts.journal
            if entry.what.startswith("gets") and entry.time > world.cancellations[0]
        )
    for number, message in enumerate(world.answers):
        yield from _right_message(facts, number, message)


def _right_message(facts: Facts, number: int, message: Message) -> Iterator[str]:
    end = facts.index("server", f"gets {message['type']}")
    begin = facts.index("server", "shutdown") if number else -1.0
    at = facts.at(end)
    guilty = {story.name for story in facts.stories.values() if _guilty(facts, story, begin, end)}
    text = message.get("message", "")
    if message["type"] == "lifespan.startup.complete":
        if at > (facts.scenario.startup_timeout or math.inf) + EPSILON:
            yield f"complete at {at}, after the limit"
        late = [s.name for s in facts.stories.values() if s.index("open") > end]
        if late:
            yield f"complete without {late}"
    failed = message["type"].endswith("failed")
    if not failed and guilty:
        yield f"{message['type']} in spite of {guilty}"
    if failed and not text:
        yield f"{message['type']} without a message"
    if failed and not guilty <= names(text):
        yield f"{message['type']} does not name {guilty - names(text)}: {text}"
    suspect = {s.name for s in facts.stories.values() if _suspect(facts, s, at)}
    if not names(text) <= suspect:
        yield f"{message['type']} accuses {names(text) - suspect}: {text}"


def _guilty(facts: Facts, story: Story, begin: float, end: float) -> bool:
    """Tell whether it certainly failed between two entries of the journal."""
    if begin < story.index("abandoned") < end:
        return True
    if story.died and facts.at(begin) + EPSILON < story.time("closes") < facts.at(end) - EPSILON:
        return True
    if any(facts.at(begin) < due < facts.at(end) + EPSILON for due in story.late()):
        return True
    for what, act in (("failed", story.plan.opening), ("close failed", story.plan.closing)):
        if not begin < story.index(what) < min(end, story.index("abandoned")):
            continue
        if story.died and story.time(what) < facts.at(begin) + EPSILON:
            continue
        if not isinstance(story.detail(what), asyncio.CancelledError):
            return True
        own = act.error == "CancelledError" and not story.count("cancelled")
        if own and (what == "close failed" or story.time("failed") < facts.cause - EPSILON):
            return True
    return False


def _suspect(facts: Facts, story: Story, at: float) -> bool:
    """Tell whether there is anything that it can be blamed for."""
    limits = []
    if facts.scenario.startup_timeout is not None:
        limits.append(facts.scenario.startup_timeout)
    if facts.scenario.shutdown_timeout is not None:
        limits += [
            entry.time
            for entry in facts.world.journal
            if entry.what == "error" and "SHUTDOWN_TIMEOUT" in entry.detail
        ]
    return (
        story.died
        or story.abandoned
        or bool(story.count("failed", "close failed"))
        or bool(story.late())
        or any(story.busy_at(limit) for limit in limits)
    )


def in_time(facts: Facts) -> Iterator[str]:
    """The lifespan ends within its limits, and never waits for nothing."""
    world = facts.world
    limit = facts.scenario.shutdown_timeout
    if world.rescued:
        yield from _rescue_was_due(facts)
    if limit is not None and world.ended > facts.last_cause() + limit + 2 * GRACE + EPSILON:
        yield f"the end took {world.ended - facts.last_cause()} s"
    later = facts.later_cancellations()
    if later and world.ended > later[0] + GRACE + EPSILON:
        yield f"the end took {world.ended - later[0]} s after the second cancellation"


def _rescue_was_due(facts: Facts) -> Iterator[str]:
    """Only a resource that hangs without a limit may keep the lifespan from ending."""
    first = facts.world.cancellations[-2] if len(facts.world.cancellations) > 1 else math.inf
    hanging = [s.name for s in facts.stories.values() if s.busy_at(min(first, HORIZON))]
    if not hanging:
        yield "it waited for ever, and for nothing"
    if facts.scenario.shutdown_timeout is not None and facts.last_cause() < HORIZON:
        yield f"it waited for ever for {hanging} in spite of its limit"
