"""The supervisor in every case: phase and behaviour of a resource, and the first to give up.

Of three resources, ``a``, ``b`` that requires ``a`` and ``c`` that requires ``b``, only ``b`` does
more than open and close at once. It is busy with its opening from 0 s on, or dies at 2 s and is
busy with its exit from then on, or is busy with its exit from the shutdown on, at 10 s. The side
that gives up does so 2 s later, and another second later for the second time. If nothing disturbs
it, ``b`` is done after 4 s, or never where it has to be disturbed.
"""

from __future__ import annotations

import itertools
import math
import re
import textwrap

import pytest

from supervisor_model.scenario import ERRORS, Act, Anchor, Cancellation, OnCancel, Plan, Scenario
from supervisor_model.world import World, play

PHASES = ("opening", "running", "closing")
OUTCOMES = ("succeeds", "raises", "leaves", "hangs")
GIVERS = ("nobody", "own limit", "overall limit", "one cancel", "two cancels", "loop-wide cancel")


def _is_senseless(phase: str, outcome: str, giver: str) -> bool:
    if outcome == "hangs":  # only a limit and a second cancellation end that
        return giver in ("nobody", "one cancel", "loop-wide cancel")
    if (phase, outcome) == ("running", "succeeds"):  # has no limit, and ends at the first one
        return giver in ("own limit", "overall limit", "two cancels")
    return False


CASES = [case for case in itertools.product(PHASES, OUTCOMES, GIVERS) if not _is_senseless(*case)]

STARTED = """\
0: a opens, a open, b opens, b open, c opens, c open
0: server gets startup.complete
"""

# The entries after STARTED, in running and closing. ERROR stands for the type of b's error.
TABLE = """\
opening, succeeds, nobody
0: a opens, a open, b opens
4: b open, c opens, c open
4: server gets startup.complete
14: server shutdown
14: c closes, c closed, b closes, b closed, a closes, a closed
14: server gets shutdown.complete
14: lifespan ended

opening, succeeds, own limit
0: a opens, a open, b opens
2: b cancelled, b open, b closes, b closed
2: log error: b did not start within 2 s
2: a closes, a closed
2: server gets startup.failed: b did not start within 2 s
2: lifespan ended

opening, succeeds, overall limit
0: a opens, a open, b opens
2: log error: The startup did not complete within 2 s (STARTUP_TIMEOUT), waiting for: b
2: b cancelled, b open, b closes, b closed, a closes, a closed
2: server gets startup.failed: the startup did not complete within 2 s (STARTUP_TIMEOUT),
    waiting for: b
2: lifespan ended

opening, succeeds, one cancel
0: a opens, a open, b opens
2: lifespan is cancelled
2: b cancelled, b open, b closes, b closed, a closes, a closed
2: lifespan ended (CancelledError)

opening, succeeds, two cancels
0: a opens, a open, b opens
2: lifespan is cancelled
2: b cancelled
3: lifespan is cancelled
3.25: b open, b closes, b closed, a closes, a closed
3.25: lifespan ended (CancelledError)

opening, succeeds, loop-wide cancel
0: a opens, a open, b opens
2: loop is cancelled
2: b cancelled, b open, b closes, b closed, a closes, a closed
2: lifespan ended (CancelledError)

opening, raises, nobody
0: a opens, a open, b opens
4: b failed (ERROR)
4: log error: b failed to start: ERROR: b is broken
4: a closes, a closed
4: server gets startup.failed: b failed to start: ERROR: b is broken
4: lifespan ended

opening, raises, own limit
0: a opens, a open, b opens
2: b cancelled, b failed (ERROR)
2: log error: b did not start within 2 s: ERROR: b is broken
2: a closes, a closed
2: server gets startup.failed: b did not start within 2 s: ERROR: b is broken
2: lifespan ended

opening, raises, overall limit
0: a opens, a open, b opens
2: log error: The startup did not complete within 2 s (STARTUP_TIMEOUT), waiting for: b
2: b cancelled, b failed (ERROR)
2: log error: b failed to start: ERROR: b is broken
2: a closes, a closed
2: server gets startup.failed: the startup did not complete within 2 s (STARTUP_TIMEOUT),
    waiting for: b; b failed to start: ERROR: b is broken
2: lifespan ended

opening, raises, one cancel
0: a opens, a open, b opens
2: lifespan is cancelled
2: b cancelled, b failed (ERROR)
2: log error: b failed to start: ERROR: b is broken
2: a closes, a closed
2: lifespan ended (CancelledError)

opening, raises, two cancels
0: a opens, a open, b opens
2: lifespan is cancelled
2: b cancelled
3: lifespan is cancelled
3.25: b failed (ERROR)
3.25: log error: b failed to start: ERROR: b is broken
3.25: a closes, a closed
3.25: lifespan ended (CancelledError)

opening, raises, loop-wide cancel
0: a opens, a open, b opens
2: loop is cancelled
2: b cancelled, b failed (ERROR)
2: log error: b failed to start: ERROR: b is broken
2: a closes, a closed
2: lifespan ended (CancelledError)

opening, leaves, nobody
0: a opens, a open, b opens
4: b failed (CancelledError)
4: log error: b failed to start: CancelledError: b is broken
4: a closes, a closed
4: server gets startup.failed: b failed to start: CancelledError: b is broken
4: lifespan ended

opening, leaves, own limit
0: a opens, a open, b opens
2: b cancelled, b failed (CancelledError)
2: log error: b did not start within 2 s
2: a closes, a closed
2: server gets startup.failed: b did not start within 2 s
2: lifespan ended

opening, leaves, overall limit
0: a opens, a open, b opens
2: log error: The startup did not complete within 2 s (STARTUP_TIMEOUT), waiting for: b
2: b cancelled, b failed (CancelledError), a closes, a closed
2: server gets startup.failed: the startup did not complete within 2 s (STARTUP_TIMEOUT),
    waiting for: b
2: lifespan ended

opening, leaves, one cancel
0: a opens, a open, b opens
2: lifespan is cancelled
2: b cancelled, b failed (CancelledError), a closes, a closed
2: lifespan ended (CancelledError)

opening, leaves, two cancels
0: a opens, a open, b opens
2: lifespan is cancelled
2: b cancelled
3: lifespan is cancelled
3.25: b failed (CancelledError), a closes, a closed
3.25: lifespan ended (CancelledError)

opening, leaves, loop-wide cancel
0: a opens, a open, b opens
2: loop is cancelled
2: b cancelled, b failed (CancelledError), a closes, a closed
2: lifespan ended (CancelledError)

opening, hangs, own limit
0: a opens, a open, b opens
2: b cancelled
3: log error: b did not start within 2 s, ignored its cancellation and was abandoned
3: b abandoned, a closes, a closed
3: server gets startup.failed: b did not start within 2 s, ignored its cancellation and was
    abandoned
3: lifespan ended
32: b open, b closes, b closed

opening, hangs, overall limit
0: a opens, a open, b opens
2: log error: The startup did not complete within 2 s (STARTUP_TIMEOUT), waiting for: b
2: b cancelled
3: log error: b ignored its cancellation and was abandoned
3: b abandoned, a closes, a closed
3: server gets startup.failed: the startup did not complete within 2 s (STARTUP_TIMEOUT),
    waiting for: b; b ignored its cancellation and was abandoned
3: lifespan ended
32: b open, b closes, b closed

opening, hangs, two cancels
0: a opens, a open, b opens
2: lifespan is cancelled
2: b cancelled
3: lifespan is cancelled
4: log error: a was left no time to close and was abandoned
4: a abandoned
4: log error: b was left no time to close and was abandoned
4: b abandoned, a closes, a closed
4: lifespan ended (CancelledError)
32: b open, b closes, b closed

running, succeeds, nobody
10: server shutdown
10: c closes, c closed, b closes, b closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended

running, succeeds, one cancel
4: lifespan is cancelled
4: c closes, c closed, b closes, b closed, a closes, a closed
4: lifespan ended (CancelledError)

running, succeeds, loop-wide cancel
4: loop is cancelled
4: c closes, c closed, b closes, b closed, a closes, a closed
4: lifespan ended (CancelledError)

running, raises, nobody
2: b dies, b closes (CancelledError)
6: b close failed (ERROR)
6: log error: b died while it was running: ERROR: b is broken
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended

running, raises, own limit
2: b dies, b closes (CancelledError)
4: b cancelled, b close failed (ERROR)
4: log error: b died while it was running, did not stop within 2 s: ERROR: b is broken
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended

running, raises, overall limit
2: b dies, b closes (CancelledError)
4: b cancelled, b close failed (ERROR)
4: log error: b died while it was running, did not stop within 2 s: ERROR: b is broken
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended

running, raises, one cancel
2: b dies, b closes (CancelledError)
4: lifespan is cancelled
4: c closes, c closed
6: b close failed (ERROR)
6: log error: b died while it was running: ERROR: b is broken
6: a closes, a closed
6: lifespan ended (CancelledError)

running, raises, two cancels
2: b dies, b closes (CancelledError)
4: lifespan is cancelled
4: c closes, c closed
5: lifespan is cancelled
5.5: b cancelled, b close failed (ERROR)
5.5: log error: b died while it was running: ERROR: b is broken
5.5: a closes, a closed
5.5: lifespan ended (CancelledError)

running, raises, loop-wide cancel
2: b dies, b closes (CancelledError)
4: loop is cancelled
4: b cancelled, b close failed (ERROR), c closes, c closed
4: log error: b died while it was running: ERROR: b is broken
4: a closes, a closed
4: lifespan ended (CancelledError)

running, leaves, nobody
2: b dies, b closes (CancelledError)
6: b close failed (CancelledError)
6: log error: b died while it was running
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended

running, leaves, own limit
2: b dies, b closes (CancelledError)
4: b cancelled, b close failed (CancelledError)
4: log error: b died while it was running, did not stop within 2 s
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended

running, leaves, overall limit
2: b dies, b closes (CancelledError)
4: b cancelled, b close failed (CancelledError)
4: log error: b died while it was running, did not stop within 2 s
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended

running, leaves, one cancel
2: b dies, b closes (CancelledError)
4: lifespan is cancelled
4: c closes, c closed
6: b close failed (CancelledError)
6: log error: b died while it was running
6: a closes, a closed
6: lifespan ended (CancelledError)

running, leaves, two cancels
2: b dies, b closes (CancelledError)
4: lifespan is cancelled
4: c closes, c closed
5: lifespan is cancelled
5.5: b cancelled, b close failed (CancelledError)
5.5: log error: b died while it was running
5.5: a closes, a closed
5.5: lifespan ended (CancelledError)

running, leaves, loop-wide cancel
2: b dies, b closes (CancelledError)
4: loop is cancelled
4: b cancelled, b close failed (CancelledError), c closes, c closed
4: log error: b died while it was running
4: a closes, a closed
4: lifespan ended (CancelledError)

running, hangs, own limit
2: b dies, b closes (CancelledError)
4: b cancelled
5: log error: b died while it was running, did not stop within 2 s, ignored its cancellation
    and was abandoned
5: b abandoned
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended
34: b closed

running, hangs, overall limit
2: b dies, b closes (CancelledError)
4: b cancelled
5: log error: b died while it was running, did not stop within 2 s, ignored its cancellation
    and was abandoned
5: b abandoned
10: server shutdown
10: c closes, c closed, a closes, a closed
10: server gets shutdown.complete
10: lifespan ended
34: b closed

running, hangs, two cancels
2: b dies, b closes (CancelledError)
4: lifespan is cancelled
4: c closes, c closed
5: lifespan is cancelled
5.5: b cancelled
6: log error: a was left no time to close and was abandoned
6: a abandoned
6: log error: b died while it was running, was left no time to close and was abandoned
6: b abandoned, a closes, a closed
6: lifespan ended (CancelledError)
35.5: b closed

closing, succeeds, nobody
10: server shutdown
10: c closes, c closed, b closes
14: b closed, a closes, a closed
14: server gets shutdown.complete
14: lifespan ended

closing, succeeds, own limit
10: server shutdown
10: c closes, c closed, b closes
12: b cancelled, b closed
12: log error: b did not stop within 2 s
12: a closes, a closed
12: server gets shutdown.failed: b did not stop within 2 s
12: lifespan ended

closing, succeeds, overall limit
10: server shutdown
10: c closes, c closed, b closes
12: log error: The shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT), waiting for: b
12: b cancelled, b closed, a closes, a closed
12: server gets shutdown.failed: the shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT),
    waiting for: b
12: lifespan ended

closing, succeeds, one cancel
10: server shutdown
10: c closes, c closed, b closes
12: lifespan is cancelled
14: b closed, a closes, a closed
14: lifespan ended (CancelledError)

closing, succeeds, two cancels
10: server shutdown
10: c closes, c closed, b closes
12: lifespan is cancelled
13: lifespan is cancelled
13.5: b cancelled, b closed, a closes, a closed
13.5: lifespan ended (CancelledError)

closing, succeeds, loop-wide cancel
10: server shutdown
10: c closes, c closed, b closes
12: loop is cancelled
12: b cancelled, b closed, a closes, a closed
12: lifespan ended (CancelledError)

closing, raises, nobody
10: server shutdown
10: c closes, c closed, b closes
14: b close failed (ERROR)
14: log error: b failed to stop: ERROR: b is broken
14: a closes, a closed
14: server gets shutdown.failed: b failed to stop: ERROR: b is broken
14: lifespan ended

closing, raises, own limit
10: server shutdown
10: c closes, c closed, b closes
12: b cancelled, b close failed (ERROR)
12: log error: b did not stop within 2 s: ERROR: b is broken
12: a closes, a closed
12: server gets shutdown.failed: b did not stop within 2 s: ERROR: b is broken
12: lifespan ended

closing, raises, overall limit
10: server shutdown
10: c closes, c closed, b closes
12: log error: The shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT), waiting for: b
12: b cancelled, b close failed (ERROR)
12: log error: b failed to stop: ERROR: b is broken
12: a closes, a closed
12: server gets shutdown.failed: the shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT),
    waiting for: b; b failed to stop: ERROR: b is broken
12: lifespan ended

closing, raises, one cancel
10: server shutdown
10: c closes, c closed, b closes
12: lifespan is cancelled
14: b close failed (ERROR)
14: log error: b failed to stop: ERROR: b is broken
14: a closes, a closed
14: lifespan ended (CancelledError)

closing, raises, two cancels
10: server shutdown
10: c closes, c closed, b closes
12: lifespan is cancelled
13: lifespan is cancelled
13.5: b cancelled, b close failed (ERROR)
13.5: log error: b failed to stop: ERROR: b is broken
13.5: a closes, a closed
13.5: lifespan ended (CancelledError)

closing, raises, loop-wide cancel
10: server shutdown
10: c closes, c closed, b closes
12: loop is cancelled
12: b cancelled, b close failed (ERROR)
12: log error: b failed to stop: ERROR: b is broken
12: a closes, a closed
12: lifespan ended (CancelledError)

closing, leaves, nobody
10: server shutdown
10: c closes, c closed, b closes
14: b close failed (CancelledError)
14: log error: b failed to stop: CancelledError: b is broken
14: a closes, a closed
14: server gets shutdown.failed: b failed to stop: CancelledError: b is broken
14: lifespan ended

closing, leaves, own limit
10: server shutdown
10: c closes, c closed, b closes
12: b cancelled, b close failed (CancelledError)
12: log error: b did not stop within 2 s
12: a closes, a closed
12: server gets shutdown.failed: b did not stop within 2 s
12: lifespan ended

closing, leaves, overall limit
10: server shutdown
10: c closes, c closed, b closes
12: log error: The shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT), waiting for: b
12: b cancelled, b close failed (CancelledError), a closes, a closed
12: server gets shutdown.failed: the shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT),
    waiting for: b
12: lifespan ended

closing, leaves, one cancel
10: server shutdown
10: c closes, c closed, b closes
12: lifespan is cancelled
14: b close failed (CancelledError)
14: log error: b failed to stop: CancelledError: b is broken
14: a closes, a closed
14: lifespan ended (CancelledError)

closing, leaves, two cancels
10: server shutdown
10: c closes, c closed, b closes
12: lifespan is cancelled
13: lifespan is cancelled
13.5: b cancelled, b close failed (CancelledError), a closes, a closed
13.5: lifespan ended (CancelledError)

closing, leaves, loop-wide cancel
10: server shutdown
10: c closes, c closed, b closes
12: loop is cancelled
12: b cancelled, b close failed (CancelledError)
12: log error: b failed to stop: CancelledError: b is broken
12: a closes, a closed
12: lifespan ended (CancelledError)

closing, hangs, own limit
10: server shutdown
10: c closes, c closed, b closes
12: b cancelled
13: log error: b did not stop within 2 s, ignored its cancellation and was abandoned
13: b abandoned, a closes, a closed
13: server gets shutdown.failed: b did not stop within 2 s, ignored its cancellation and was
    abandoned
13: lifespan ended
42: b closed

closing, hangs, overall limit
10: server shutdown
10: c closes, c closed, b closes
12: log error: The shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT), waiting for: b
12: b cancelled
13: log error: b ignored its cancellation and was abandoned
13: b abandoned, a closes, a closed
13: server gets shutdown.failed: the shutdown did not complete within 2 s (SHUTDOWN_TIMEOUT),
    waiting for: b; b ignored its cancellation and was abandoned
13: lifespan ended
42: b closed

closing, hangs, two cancels
10: server shutdown
10: c closes, c closed, b closes
12: lifespan is cancelled
13: lifespan is cancelled
13.5: b cancelled
14: log error: a was left no time to close and was abandoned
14: a abandoned
14: log error: b was left no time to close and was abandoned
14: b abandoned, a closes, a closed
14: lifespan ended (CancelledError)
43.5: b closed
"""

EXPECTED = dict(case.split("\n", 1) for case in TABLE.strip().split("\n\n"))


def _behaviour(phase: str, outcome: str, giver: str, error: str) -> Act:
    on_cancel, stubborn = OnCancel.FINISH, 30.0
    if outcome == "hangs":
        on_cancel = OnCancel.IGNORE
    elif (phase, giver) == ("opening", "two cancels"):  # the first one reaches it
        on_cancel, stubborn = OnCancel.IGNORE, 1.25
    return Act(
        seconds=4.0 if giver in ("nobody", "one cancel") else math.inf,
        error={"raises": error, "leaves": "CancelledError"}.get(outcome, ""),
        on_cancel=on_cancel,
        stubborn=stubborn,
    )


def _scenario(phase: str, outcome: str, giver: str, *, error: str, seed: int) -> Scenario:
    act = _behaviour(phase, outcome, giver, error)
    own_limit = 2.0 if giver == "own limit" else None
    overall_limit = 2.0 if giver == "overall limit" else None
    is_opening = phase == "opening"
    b = Plan(
        requires=(0,),
        opening=act if is_opening else Act(),
        closing=Act() if is_opening or (phase, outcome) == ("running", "succeeds") else act,
        dies_after=2.0 if phase == "running" and outcome != "succeeds" else math.inf,
        startup_timeout=own_limit if is_opening else None,
        shutdown_timeout=None if is_opening else own_limit,
    )
    busy_from = {"opening": 0.0, "running": 2.0, "closing": 10.0}[phase]
    cancellations = {"one cancel": 1, "two cancels": 2, "loop-wide cancel": 1}.get(giver, 0)
    return Scenario(
        plans=(Plan(), b, Plan(requires=(1,))),
        startup_timeout=overall_limit if is_opening else None,
        shutdown_timeout=None if is_opening else overall_limit,
        service=10.0,
        cancellations=tuple(
            Cancellation(
                anchor=Anchor.START,
                seconds=busy_from + 2.0 + number,
                everything=giver == "loop-wide cancel",
                seed=seed,
            )
            for number in range(cancellations)
        ),
    )


def _journal(world: World) -> str:
    """Return the journal as text: steps of resources at one moment in one line, the rest alone."""
    names = {"r0": "a", "r1": "b", "r2": "c"}
    lines: list[str] = []
    for index, entry in enumerate(world.journal):
        what = f"{entry.name} {entry.what.replace('lifespan.', '')}"
        if isinstance(entry.detail, BaseException):
            what += f" ({type(entry.detail).__name__})"
        elif entry.detail is not None:
            what += f": {entry.detail}"
        before = world.journal[index - 1]
        if index and {before.name, entry.name} <= names.keys() and before.time == entry.time:
            lines[-1] += f", {what}"
        else:
            lines.append(f"{entry.time:g}: {what}")
    text = "\n".join(textwrap.fill(line, 95, subsequent_indent="    ") for line in lines)
    return re.sub(r"\br[012]\b", lambda name: names[name[0]], text)


def _seeds(phase: str, outcome: str, giver: str) -> range:
    """Return the orders in which the loop cancels its tasks, which make no difference.

    Except to a dead resource: it keeps no order with those that require it.
    """
    died = phase == "running" and outcome != "succeeds"
    return range(6 if giver == "loop-wide cancel" and not died else 1)


@pytest.mark.parametrize("case", CASES, ids=", ".join)
@pytest.mark.parametrize("error", ["Exception", "BaseException"])
def test_the_journal_of_every_case(case: tuple[str, str, str], error: str) -> None:
    """Everything happens at its time and in its order, for any exception of ``b``."""
    started = "" if case[0] == "opening" else STARTED
    expected = EXPECTED[", ".join(case)].replace("ERROR", type(ERRORS[error]("")).__name__)
    for seed in _seeds(*case):
        world = play(_scenario(*case, error=error, seed=seed))
        assert _journal(world) == started + expected


def test_the_table_has_every_case() -> None:
    """No case is expected that is never played."""
    assert EXPECTED.keys() == {", ".join(case) for case in CASES}
