"""The random stories: the rules that their journals keep, and the way to the smallest story."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from integration.chaos.__main__ import TRIES, shrink
from integration.chaos.invariants import Ending, find_violations
from integration.chaos.story import ClientSpec, ResourceSpec, SignalSpec, Story
from integration.harness.client import Answer
from integration.harness.journal import Journal

R0 = ResourceSpec(name="r0", sync=False, opening=0.1, closing=0.1, requires=("base",))
R1 = ResourceSpec(name="r1", sync=False, opening=0.1, closing=0.1, requires=("r0",))
LAUNCH = SignalSpec(name="SIGHUP", whom="main", pick=0, after="launch", delay=0.1)
LATER = SignalSpec(name="SIGTERM", whom="group", pick=0, after="signal", delay=0.1)
STORY = Story(
    target="uvicorn.command",
    resources=(R0, R1),
    receiver=0.1,
    receiver_sync=True,
    clients=tuple(ClientSpec(kind=kind, delay=0.1) for kind in ("short", "websocket", "half")),
    signals=(LAUNCH, replace(LATER, name="SIGINT"), LATER),
)
OPENED = ["base opening", "base open", "dependent opening", "dependent open"]
OPENED += ["r0 opening", "r0 open", "r1 opening", "r1 open", "asgi_startup sent"]
CLOSED = ["asgi_shutdown sent", "r1 closing", "r1 closed", "r0 closing", "r0 closed"]
SERVED = ["request begun", "request ended"]


def end(*events: str, **values: Any) -> Ending:
    """Return the end of a story with these events of one process, and else as it should be."""
    lines = [
        json.dumps(
            {
                "pid": 1,
                "subject": event.partition(" ")[0],
                "event": event.partition(" ")[2],
                "loop": 1,
                "task": 1,
                "thread": 1,
                "time": float(index),
            }
        )
        for index, event in enumerate(events)
    ]
    usual: dict[str, Any] = {
        "journal": Journal.parse("".join(f"{line}\n" for line in lines).encode()),
        "sent": ["SIGTERM"],
        "code": 0,
        "hung": False,
        "orphans": 0,
        "answers": [],
    }
    return Ending(**(usual | values))


# The rules


@pytest.mark.parametrize(
    "events",
    [
        [],
        [*OPENED, *SERVED, *CLOSED],
        [*OPENED[:4], "r0 opening", "r0 opening interrupted"],
        [*OPENED[:6], "r1 opening", "r1 opening failed", "r0 closing", "r0 closing failed"],
    ],
    ids=["nothing opened", "served", "interrupted", "failed"],
)
def test_a_story_in_order_breaks_no_rule(events: list[str]) -> None:
    """Whether it ended before, in or after the startup."""
    assert find_violations(STORY, end(*events)) == []


@pytest.mark.parametrize(
    ("events", "violation"),
    [
        (OPENED, "the events of r0 are ['opening', 'open']"),
        ([*OPENED, *CLOSED, "r0 closing"], "the events of r0 are"),
        ([*CLOSED[3:], *OPENED], "the events of r0 are"),
        ([*OPENED, *CLOSED, "r2 opening"], "'r2 opening' comes after 'r1 closing'"),
        ([*OPENED[6:], *OPENED[:6], *CLOSED], "r1 opened before r0, which it requires"),
        ([*OPENED, *CLOSED[3:], *CLOSED[:3]], "r0 closed before r1, which requires it"),
        ([*OPENED, *CLOSED[1:], CLOSED[0]], "asgi_shutdown was sent after a resource had begun"),
        ([*OPENED, "asgi_startup sent", *CLOSED], "asgi_startup or asgi_shutdown was sent twice"),
        ([*OPENED[:6], *SERVED, *OPENED[6:], *CLOSED], "a request began before ['r1'] had opened"),
        ([*OPENED, *CLOSED, *SERVED], "a request began after a resource had begun to close"),
        (
            [*OPENED, SERVED[0], *CLOSED, SERVED[1]],
            "a request ended after a resource had begun to close",
        ),
    ],
)
def test_a_journal_out_of_order_breaks_a_rule(events: list[str], violation: str) -> None:
    """Each resource is closed once and in order, and has its requests within."""
    assert any(violation in each for each in find_violations(STORY, end(*events)))


@pytest.mark.parametrize(
    ("values", "violation"),
    [
        ({"hung": True}, "the server did not end, and was killed"),
        ({"code": -9}, "the exit code is -9"),
        ({"code": -2}, "the exit code is -2"),
        ({"orphans": 2}, "2 processes were left"),
        ({"answers": [Answer(500, "")]}, "a client got 500"),
    ],
)
def test_an_end_that_is_not_orderly_breaks_a_rule(values: dict[str, Any], violation: str) -> None:
    """The server ends by itself, with an exit code that the stop explains."""
    assert find_violations(STORY, end(**values)) == [violation]


# The smallest story


def test_a_story_shrinks_to_the_things_that_break_the_rule() -> None:
    """Each is there because the rule is kept without it."""

    def play(story: Story) -> tuple[list[str], str]:
        kinds = {client.kind for client in story.clients}
        names = [each.name for each in story.signals]
        is_broken = "websocket" in kinds and "SIGTERM" in names
        return (["broken"] if is_broken else []), f"played with {kinds} and {names}"

    smallest, report = shrink(STORY, player=play)
    assert smallest == Story(
        target="uvicorn.command",
        resources=(replace(R1, requires=()),),  # r0 is gone
        receiver=0,
        receiver_sync=True,
        clients=(ClientSpec(kind="websocket", delay=0.1),),
        signals=(replace(LATER, after="serving"),),  # no other one comes before it
    )
    assert report == "broken\nplayed with {'websocket'} and ['SIGTERM']"


def test_a_failure_that_is_the_reason_stays() -> None:
    """The other resource goes, with its failure."""
    failing = replace(STORY, resources=(replace(R0, fails="opening"), replace(R1, fails="closing")))

    def play(story: Story) -> tuple[list[str], str]:
        return ["broken" for each in story.resources if each.fails == "closing"], ""

    smallest, _ = shrink(failing, player=play)
    assert [(each.name, each.fails) for each in smallest.resources] == [("r1", "closing")]


def test_a_resource_that_is_needed_is_made_to_succeed() -> None:
    """If its failure is not the reason."""
    failing = replace(STORY, resources=(replace(R0, fails="opening"), R1))

    def play(story: Story) -> tuple[list[str], str]:
        return ["broken"] if len(story.resources) == 2 else [], ""

    smallest, _ = shrink(failing, player=play)
    assert [(each.name, each.fails) for each in smallest.resources] == [("r0", ""), ("r1", "")]


def test_a_rule_that_is_broken_now_and_then_is_found_in_smaller_stories() -> None:
    """Each of them is played more than once."""
    played: dict[Story, int] = {}

    def play(story: Story) -> tuple[list[str], str]:
        played[story] = played.get(story, 0) + 1
        return ["broken"] if played[story] == TRIES and story.clients else [], ""

    smallest, _ = shrink(STORY, player=play)
    assert (len(smallest.clients), len(smallest.signals), len(smallest.resources)) == (1, 1, 1)
    assert played[smallest] == TRIES


def test_a_story_that_breaks_a_rule_by_nothing_smaller_stays() -> None:
    """Then there is no other report either, and the one of the first launch is shown."""
    assert shrink(STORY, player=lambda story: ([], "kept")) == (STORY, "")


def test_a_story_is_played_again_as_it_was_written() -> None:
    """The line that a run prints has every detail of it."""
    drawn = Story.draw("granian.command", 7)
    assert Story.read(drawn.write()) == drawn == Story.draw("granian.command", 7)
    assert drawn != Story.draw("granian.command", 8)
