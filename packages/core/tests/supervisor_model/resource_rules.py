"""The rules for one resource: when it opens, is cancelled and closes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from django_asgi_lifespan.supervisor import GRACE
from supervisor_model.facts import Facts
from supervisor_model.scenario import Host
from supervisor_model.story import EPSILON, Story


def ended_once(facts: Facts, story: Story) -> Iterator[str]:
    """A resource opens at most once, and is ended as often as it was begun."""
    name = story.name
    if story.count("opens") > 1:
        yield f"{name} opens twice"
    if story.count("closes") != story.count("open"):
        yield f"{name} was opened {story.count('open')}, closed {story.count('closes')} times"
    ended = story.count("failed", "closed", "close failed")
    if ended != story.count("opens") and not story.abandoned:
        yield f"{name} has not ended"


def in_order(facts: Facts, story: Story) -> Iterator[str]:
    """It opens after those that it requires, and closes as soon as its dependants have ended."""
    for required in story.requires:
        if story.index("opens") < math.inf and required.index("open") > story.index("opens"):
            yield f"{story.name} opens before {required.name} is open"
    if story.died or story.index("abandoned") < story.index("closes"):
        return
    for dependant in story.dependants:
        if dependant.count("opens") and dependant.end > story.index("closes"):
            yield f"{story.name} closes before {dependant.name} has ended"
    if story.count("closes") and abs(story.time("closes") - _turn(facts, story)) > EPSILON:
        yield f"{story.name} did not close at {_turn(facts, story)}, when it was its turn"


def _turn(facts: Facts, story: Story) -> float:
    """Return when it has to close. A dead resource still keeps its requirements open."""
    others = [other for other in story.dependants if other.count("opens")]
    times = [max(other.last, _turn(facts, other)) for other in others]
    begun = story.time("open", "failed", "abandoned")
    return max([facts.certain_cause, begun, *times])


def told_the_truth(facts: Facts, story: Story) -> Iterator[str]:
    """Its exit is told of an exception if the resource died, and only then."""
    may_die = (
        story.count("dies")
        or (story.plan.host is Host.TIMEOUT and story.plan.dies_after < math.inf)
        or facts.world.cancelled_everything > (0 if story.plan.host is Host.ANYIO else 1)
    )
    if story.died and not may_die:
        yield f"{story.name} was told of {story.detail('closes')!r} and did not die"
    if story.died and not isinstance(story.detail("closes"), asyncio.CancelledError):
        yield f"{story.name} was told of {story.detail('closes')!r}"
    dies = story.time("open") + story.plan.dies_after
    if dies < facts.cause - EPSILON:
        if not story.died or abs(story.time("closes") - dies) > EPSILON:
            yield f"{story.name} did not die at {dies}"
    elif story.time("closes") < facts.cause - EPSILON:
        yield f"{story.name} closes before the lifespan ends"
    hits = [e.time for e in facts.journal if e.what == "dies" and e.name == story.name]
    if story.plan.host is not Host.ANYIO:  # whose child, cancelled as well, cancels it again
        hits += [e.time for e in facts.journal if e.name == "loop"]
    hits = sorted({time for time in hits if time > story.time("open") + EPSILON})
    if len(hits) > 1 and story.time("closes") > hits[1] + EPSILON:
        yield f"{story.name} did not leave at its second cancellation, at {hits[1]}"


def undisturbed(facts: Facts, story: Story) -> Iterator[str]:
    """Nothing is cancelled or abandoned without a reason."""
    disturbed = [e.time for _, e in story.entries if e.what.startswith("cancelled")]
    opening = [t for t in disturbed if t < story.time("open", "failed") + EPSILON]
    if opening and opening[0] < min([facts.cause, *story.late()]) - EPSILON:
        yield f"{story.name} was cancelled without a reason"
    hurry = (
        story.late()
        or facts.scenario.shutdown_timeout is not None
        or len(facts.world.cancellations) > 1
        or facts.world.cancelled_everything
    )
    if not hurry and disturbed != opening:
        yield f"{story.name} was cancelled while it closes"
    if not hurry and facts.scenario.startup_timeout is None and story.abandoned:
        yield f"{story.name} was abandoned without a reason"
    if story.count("abandoned") > 1:
        yield f"{story.name} was abandoned twice"


def rolled_back(facts: Facts, story: Story) -> Iterator[str]:
    """Nothing opens any more when there is a reason to end, and each opening is cancelled."""
    if facts.certain_cause + EPSILON < story.time("opens") < math.inf:
        yield f"{story.name} opens after {facts.certain_cause}"
    if story.time("opens") < facts.certain_cause - EPSILON:
        busy = story.time("open", "failed", "abandoned") > facts.certain_cause + EPSILON
        if busy and story.time("cancelled") > facts.certain_cause + EPSILON:
            yield f"{story.name} was not cancelled at {facts.certain_cause}, when it was opening"


def hurried(facts: Facts, story: Story) -> Iterator[str]:
    """A resource that meets a limit is cancelled then, and abandoned after the grace."""
    cancelled = [e.time for _, e in story.entries if e.what.startswith("cancelled")]
    hurry = facts.hurry(certainly=True)
    for step, begin, end, due in story.steps():
        for limit in (due, hurry):
            if not begin < limit < end - EPSILON:
                continue
            if not any(time < limit + EPSILON for time in cancelled):
                yield f"{story.name} was not cancelled at {limit}, when it had to {step}"
            if end > limit + GRACE + EPSILON:
                yield f"{story.name} was not abandoned at {limit + GRACE}"
