"""The rules for the log: each failure once, and nothing that is not true."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Iterator

from supervisor_model.facts import Facts, names
from supervisor_model.story import EPSILON, Story

_PHRASES = (
    "did not start within",
    "did not stop within",
    "died while it was running",
    "was abandoned",
)


def logged_once(facts: Facts, story: Story) -> Iterator[str]:
    """Every exception is logged, once, with its traceback and the name of the resource."""
    for index, entry in story.entries:
        if entry.what not in ("failed", "close failed") or story.index("abandoned") < index:
            continue
        if isinstance(entry.detail, asyncio.CancelledError):
            continue
        told = [
            record
            for record in facts.world.records
            if record.exc_info and record.exc_info[1] is entry.detail
        ]
        if len(told) != 1 or told[0].levelno != logging.ERROR:
            yield f"{entry.detail!r} of {story.name} was logged {len(told)} times"
        elif story.name not in names(told[0].getMessage()):
            yield f"the log does not name {story.name}: {told[0].getMessage()}"


def told_in_one_record(facts: Facts, story: Story) -> Iterator[str]:
    """The failures of one resource are one sentence, logged when it has ended."""
    told = [e for e in facts.journal if e.what == "error" and e.detail.startswith(story.name)]
    texts = [entry.detail for entry in told]
    if len(told) > 1:
        yield f"{story.name} has {len(told)} records: {texts}"
    if any(abs(entry.time - story.last) > EPSILON for entry in told):
        yield f"{story.name} ended at {story.last}, and the log has {texts} at {told[0].time}"
    said = set(re.findall("|".join(_PHRASES), texts[0].partition(":")[0])) if told else set()
    for phrase, certain, possible in _phrases(facts, story):
        if certain and phrase not in said:
            yield f"{story.name} {phrase}, and the log does not say so: {texts}"
        if phrase in said and not possible:
            yield f"it is not true that {story.name} {phrase}"


def _phrases(facts: Facts, story: Story) -> Iterator[tuple[str, bool, bool]]:
    """Yield each possible sentence, whether it must be said, and whether it may be."""
    hurry = facts.hurry()
    late = {step: (end, due) for step, _, end, due in story.steps()}
    for step in ("start", "stop"):
        end, due = late.get(step, (math.inf, math.inf))
        certain = due < end - EPSILON and due < hurry - EPSILON
        yield f"did not {step} within", certain, due < end + EPSILON
    since = story.time("closes")
    cancelled = min([*facts.known_cancellations(), math.inf])
    yield (
        "died while it was running",
        story.died and since < cancelled - EPSILON,
        story.died and since < cancelled + EPSILON,
    )
    yield "was abandoned", story.abandoned, story.abandoned
