"""The supervisor under random graphs, failures, time limits and cancellations."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_model.rules import violations
from supervisor_model.scenario import (
    ERRORS,
    HAS_GROUPS,
    TASK_FACTORIES,
    Act,
    Anchor,
    Cancellation,
    Host,
    OnCancel,
    Plan,
    Scenario,
)
from supervisor_model.world import World, play

# anyio makes the coroutine of a child and drops it if the child is cancelled before its first step.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine '_Opening._crash' was never awaited")

_DELAYS = [0.0, 0.0, 0.5, 1.0, 1.5, 2.5, 4.0, math.inf]
_LIMITS = [None, None, 0.7, 1.7, 3.2]


def _uneven(seconds: float, number: int) -> float:
    """Return *seconds* and a little more, so that no two things happen at once by chance."""
    return seconds + number * 0.0011 if seconds else 0.0


@st.composite
def acts(draw: st.DrawFn, number: int, *, healthy: bool) -> Act:
    """Return the steps of a resource that opens or closes."""
    if healthy:
        return Act(
            seconds=_uneven(draw(st.sampled_from(_DELAYS[:6])), number),
            turns=draw(st.integers(0, 3)),
        )
    return Act(
        seconds=_uneven(draw(st.sampled_from(_DELAYS)), number),
        turns=draw(st.integers(0, 3)),
        error=draw(st.sampled_from(["", "", *ERRORS])),
        on_cancel=draw(st.sampled_from(OnCancel)),
        stubborn=_uneven(draw(st.sampled_from([0.4, 0.8, 1.9, 30.0])), number),
    )


@st.composite
def plans(draw: st.DrawFn, number: int) -> Plan:
    """Return a resource that requires some of those with a lower number."""
    hosts = list(Host) if HAS_GROUPS else [Host.NOTHING, Host.ANYIO]
    mortal = draw(st.integers(0, 4)) == 4
    return Plan(
        requires=tuple(sorted(draw(st.sets(st.integers(0, number - 1), max_size=3))))
        if number
        else (),
        opening=draw(acts(4 * number + 1, healthy=draw(st.integers(0, 3)) < 3)),
        closing=draw(acts(4 * number + 2, healthy=draw(st.integers(0, 2)) < 2)),
        host=draw(st.sampled_from(hosts)),
        dies_after=_uneven(draw(st.sampled_from([0.0, 0.6, 2.1, 6.0])), 4 * number + 3)
        if mortal
        else math.inf,
        startup_timeout=draw(st.sampled_from(_LIMITS)),
        shutdown_timeout=draw(st.sampled_from(_LIMITS)),
        suppresses=draw(st.booleans()),
    )


cancellations = st.builds(
    Cancellation,
    anchor=st.sampled_from(Anchor),
    seconds=st.sampled_from([0.0, 0.00013, 0.43, 1.03, 2.03, 3.23, 5.03]),
    turns=st.integers(0, 6),
    everything=st.booleans(),
    seed=st.integers(0, 9),
)


@st.composite
def scenarios(draw: st.DrawFn, *, cancelled: bool) -> Scenario:
    """Return a graph of resources with a life of its own."""
    size = draw(st.integers(0, 7))
    return Scenario(
        plans=tuple(draw(plans(number)) for number in range(size)),
        last=draw(plans(0)) if draw(st.integers(0, 3)) == 3 else None,
        startup_timeout=draw(st.sampled_from([None, None, 1.21, 4.21, 9.21])),
        shutdown_timeout=draw(st.sampled_from([None, 1.31, 4.31, 9.31])),
        service=draw(st.sampled_from([0.0, 1.37, 10.37])),
        cancellations=tuple(
            draw(st.lists(cancellations, min_size=int(cancelled), max_size=3 * cancelled))
        ),
        waits_with_timeout=draw(st.booleans()),
        receive_fails=draw(st.integers(0, 5)) == 5,
        failing_send=draw(st.sampled_from([None, None, None, None, 0, 1])),
        task_factory=draw(st.sampled_from(TASK_FACTORIES)),
    )


def _check(scenario: Scenario) -> World:
    world = play(scenario)
    broken = "\n".join(violations(world))
    assert not broken, f"{broken}\n{world}"
    return world


@given(scenarios(cancelled=False))
def test_the_lifespan_keeps_its_promises(scenario: Scenario) -> None:
    """Resources end once, in order and in time. Log and server are told the truth, once."""
    _check(scenario)


@given(scenarios(cancelled=True))
def test_the_cancelled_lifespan_keeps_its_promises(scenario: Scenario) -> None:
    """The same holds whenever its task, or every task of the loop, is cancelled, up to thrice."""
    _check(scenario)


def test_a_limit_of_an_abandoned_resource_means_nothing_any_more() -> None:
    """A resource abandoned while it opens is not told later that it stops too slowly."""
    deaf = Act(seconds=math.inf, on_cancel=OnCancel.IGNORE, stubborn=60)
    _check(
        Scenario(
            plans=(Plan(opening=deaf, startup_timeout=10),),
            cancellations=(Cancellation(seconds=1), Cancellation(seconds=1.5)),
        )
    )


def test_an_abandoned_resource_is_abandoned_once() -> None:
    """The log says once that a resource was abandoned, even if it has a limit of its own."""
    slow = Act(seconds=20)
    _check(
        Scenario(
            plans=(Plan(closing=slow, shutdown_timeout=5),),
            cancellations=(
                Cancellation(anchor=Anchor.COMPLETE, seconds=1),
                Cancellation(anchor=Anchor.COMPLETE, seconds=1.5),
            ),
        )
    )


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("phase", ["opening", "closing"])
def test_no_exception_is_too_strange_to_be_reported(error: str, phase: str) -> None:
    """Even GeneratorExit and exceptions whose str() raises are logged and named to the server."""
    _check(Scenario(plans=(Plan(**{phase: Act(seconds=1, error=error)}),)))


def test_the_message_says_that_it_did_not_start_even_if_it_does_not_stop_either() -> None:
    """A resource that starts too late and then stops too late is named for both."""
    late = Act(seconds=math.inf, on_cancel=OnCancel.FINISH)
    plan = Plan(opening=late, startup_timeout=5.0, closing=Act(seconds=9), shutdown_timeout=3.0)
    world = _check(Scenario(plans=(plan,)))
    assert "r0 did not start within 5 s" in world.answers[0]["message"]
    assert "did not stop within 3 s" in world.answers[0]["message"]


def test_a_second_cancellation_of_the_whole_loop_is_no_death() -> None:
    """A resource that waits for its turn to close leaves out of turn, and nothing is reported."""
    slow = Act(seconds=5, on_cancel=OnCancel.IGNORE, stubborn=5)
    world = _check(
        Scenario(
            plans=(Plan(), Plan(requires=(0,), closing=slow)),
            cancellations=tuple(Cancellation(seconds=at, everything=True) for at in (1.0, 1.5)),
        )
    )
    assert [(e.time, e.what) for e in world.journal if e.name == "r0"][2:] == [
        (1.5, "closes"),
        (1.5, "closed"),
    ]
    assert [e.detail for e in world.journal if e.name == "log"] == [
        "r1 was left no time to close and was abandoned"
    ]


def test_a_death_fails_the_startup_before_its_exit_has_ended() -> None:
    """An opening is cancelled when another resource dies, however long that one closes."""
    world = _check(
        Scenario(
            plans=(
                Plan(dies_after=1.0, closing=Act(seconds=5)),
                Plan(opening=Act(seconds=2)),
            )
        )
    )
    assert [(e.time, e.what) for e in world.journal if e.name == "r1"] == [
        (0, "opens"),
        (1, "cancelled"),
        (1, "failed"),
    ]
    assert world.answers == [
        {"type": "lifespan.startup.failed", "message": "r0 died while it was running"}
    ]


def test_a_missed_limit_fails_the_startup_before_the_late_one_has_ended() -> None:
    """An opening is cancelled at the limit of another resource, though that one hangs."""
    deaf = Act(seconds=math.inf, on_cancel=OnCancel.IGNORE, stubborn=60)
    world = _check(
        Scenario(plans=(Plan(opening=deaf, startup_timeout=2.0), Plan(opening=Act(seconds=2.5))))
    )
    assert [(e.time, e.what) for e in world.journal if e.name == "r1"] == [
        (0, "opens"),
        (2, "cancelled"),
        (2, "failed"),
    ]


def test_what_died_still_stands_between_its_dependants_and_what_it_requires() -> None:
    """A resource required through one that died in service closes after the dependant."""
    world = _check(
        Scenario(
            plans=(
                Plan(),
                Plan(requires=(0,), dies_after=1.0),
                Plan(requires=(1,), closing=Act(seconds=5)),
            ),
            service=10.0,
        )
    )
    assert [(e.time, e.what) for e in world.journal if e.name == "r0"][2:] == [
        (15, "closes"),
        (15, "closed"),
    ]


def test_the_overall_limit_gives_no_second_grace() -> None:
    """A resource cancelled at its own limit is not cancelled again, and abandoned in time."""
    deaf = Act(seconds=math.inf, on_cancel=OnCancel.IGNORE, stubborn=60)
    plan = Plan(closing=deaf, shutdown_timeout=2.0)
    world = _check(Scenario(plans=(plan,), service=10.0, shutdown_timeout=2.5))
    assert [(e.time, e.what) for e in world.journal if e.name == "r0"][2:] == [
        (10, "closes"),
        (12, "cancelled"),
        (13, "abandoned"),
        (72, "closed"),
    ]


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="Python 3.10 cannot tell whether the loop's cancellation reached a task",
)
@pytest.mark.parametrize("seed", range(4))
def test_a_cancellation_of_the_whole_loop_reaches_an_opening_resource_once(seed: int) -> None:
    """The cleanup after a failed opening is not disturbed by the end of the lifespan."""
    opening = Act(seconds=10, on_cancel=OnCancel.CLEAN_UP, stubborn=5)
    cancellation = Cancellation(seconds=1, everything=True, seed=seed)
    world = _check(Scenario(plans=(Plan(opening=opening),), cancellations=(cancellation,)))
    assert [e.what for e in world.journal if e.name == "r0"] == ["opens", "cancelled", "failed"]


@pytest.mark.parametrize("factory", TASK_FACTORIES)
@pytest.mark.parametrize("turns", range(6))
def test_a_cancellation_of_the_whole_loop_between_two_starts_is_no_failure(
    turns: int, factory: Any
) -> None:
    """Also of one whose task has not taken its first step."""
    plans = (Plan(), Plan(requires=(0,)))
    cancellation = Cancellation(anchor=Anchor.START, turns=turns, everything=True)
    scenario = Scenario(plans=plans, cancellations=(cancellation,), task_factory=factory)
    assert not [entry for entry in _check(scenario).journal if entry.what == "error"]


@pytest.mark.parametrize("seed", range(6))
def test_a_death_after_a_cancellation_that_the_server_lost_is_told(seed: int) -> None:
    """Before Python 3.12, ``wait_for`` of a server may lose that of the lifespan's task."""
    slow = Plan(requires=(0,), closing=Act(seconds=1, on_cancel=OnCancel.IGNORE))
    scenario = Scenario(
        plans=(Plan(dies_after=2.1), Plan(opening=Act(seconds=1.5)), slow),
        cancellations=(Cancellation(anchor=Anchor.SHUTDOWN, everything=True, seed=seed),),
        waits_with_timeout=True,
        service=0.0,
    )
    errors = [entry.detail for entry in _check(scenario).journal if entry.what == "error"]
    assert errors == (["r0 died while it was running"] if sys.version_info < (3, 12) else [])
