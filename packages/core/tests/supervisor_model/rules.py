"""All rules for a journal."""

from __future__ import annotations

from collections.abc import Iterator

from supervisor_model import lifespan_rules, log_rules, resource_rules
from supervisor_model.facts import Facts
from supervisor_model.world import World


def violations(world: World) -> list[str]:
    """Return each breach of the rules, as a sentence."""
    return [*world.problems, *_broken(Facts(world))]


def _broken(facts: Facts) -> Iterator[str]:
    for story in facts.stories.values():
        yield from resource_rules.ended_once(facts, story)
        yield from resource_rules.in_order(facts, story)
        yield from resource_rules.told_the_truth(facts, story)
        yield from resource_rules.undisturbed(facts, story)
        yield from resource_rules.rolled_back(facts, story)
        yield from log_rules.logged_once(facts, story)
        yield from log_rules.told_in_one_record(facts, story)
        yield from resource_rules.hurried(facts, story)
    yield from lifespan_rules.right_outcome(facts)
    yield from lifespan_rules.right_answers(facts)
    yield from lifespan_rules.in_time(facts)
