"""Which lifespan answers the code that asks, and the explanation where none does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .autodiscovery import discovery_remedy
from .errors import ResourceUnavailableError
from .lifespans import Lifespan, answering, current_view, lifespans

if TYPE_CHECKING:
    from .roles import Yielding

__all__ = ("REASONS", "find", "find_lifespan", "find_state")

REASONS = {
    "never begun": "no lifespan ran in this process. {cause} [lifespan-never-ran]",
    "failed": (
        "the lifespan failed to start: {failure} The log has the traceback. Remove the cause, and "
        "start again. [lifespan-failed]"
    ),
    "ended": (
        "the lifespan has ended, and everything that it had opened is closed. A task or thread "
        "that uses it must end before: start it in a resource, and end it after the yield."
        "{remedy} [lifespan-ended]"
    ),
    "forked": (
        "this process was forked from the one in which the lifespan runs, whose objects work "
        "only there. Start a lifespan in this process: with run_lifespan_sync(). [lifespan-forked]"
    ),
    "several": (
        "{number} lifespans run in this process and this thread belongs to none: {lifespans}. "
        "Ask in async code, and pass the value on. [lifespan-several]"
    ),
    "starting": (
        "the lifespan is still starting. What a resource needs at its start belongs in its "
        "requires=[...]; everything else runs after the startup. [lifespan-starting]"
    ),
    "elsewhere": (
        "the lifespan runs in another event loop, and what was opened there works only "
        "there. Ask in that loop: in an async view, or by async_to_sync in a sync view. "
        "[lifespan-other-loop]"
    ),
    "block elsewhere": (
        "the lifespan runs in another event loop, and its objects work only there. Run this code "
        "there: by running.run(...), where the lifespan is that of 'with run_lifespan_sync() as "
        "running:'. In asynchronous tests and scripts, 'async with run_lifespan():' runs one in "
        "the loop of the caller. [lifespan-other-loop]"
    ),
    "no asyncio": (
        "no event loop of asyncio runs here, and Django runs on asyncio alone, because asgiref "
        "does. Call this code by asyncio.run(), not by trio.run(). In synchronous code, use 'with "
        "run_lifespan_sync() as running:'. [lifespan-no-asyncio]"
    ),
    "unfilled": (
        "it is filled when every resource has started. "
        "Inside a resource, name the others in requires=[...] and call .get() on them. "
        "[lifespan-state-unfilled]"
    ),
    "not required": (
        "{other}, which does not require it, so it may not have started or may have stopped. "
        "Declare it: @resource(requires=[{name}]) on {other}. [lifespan-not-required]"
    ),
    "died": (
        "it died while it was running ({death}). The log has the traceback. Remove the cause, and "
        "restart the program. [lifespan-died]"
    ),
    "stopped": (
        "it is stopped already, because the lifespan is ending. Code that needs it until then "
        "belongs in a resource that requires it. [lifespan-stopped]"
    ),
    "left out": (
        "this lifespan was started with only=[...], and neither names it nor starts a resource "
        "that requires it. Add it: only=[..., {name}]. [lifespan-left-out]"
    ),
    "declared late": (
        "it was declared after the startup of this lifespan had begun, in {module}. {remedy} "
        "[lifespan-declared-late]"
    ),
}
"""Why something is not available, each with its remedy."""


def find(resource: Yielding) -> Any:
    """Return the value of *resource*, or raise a ResourceUnavailableError that says why not."""
    name = resource.name
    view = current_view.get()
    if view is not None and not view.may_get(resource):
        other = view.resource.name
        reason = REASONS["not required"].format(name=name, other=other)
        raise ResourceUnavailableError(f"{name} is not available inside {reason}")
    lifespan = find_lifespan(name)
    try:
        return lifespan.values[resource]
    except KeyError:
        pass
    if resource in lifespan.died:
        reason = REASONS["died"].format(death=lifespan.died[resource])
    elif resource in lifespan.resources:
        reason = REASONS["stopped"]
    elif lifespan.is_partial:
        reason = REASONS["left out"].format(name=name)
    else:
        remedy = discovery_remedy(resource.module)
        reason = REASONS["declared late"].format(module=resource.module, remedy=remedy)
    raise ResourceUnavailableError(f"{name} is not available: {reason}")


def find_state() -> dict[str, Any]:
    """Return the state of the lifespan that answers here, or raise a ResourceUnavailableError."""
    lifespan = find_lifespan("The state")
    if not lifespan.state_filled:
        raise ResourceUnavailableError(f"The state is not available yet: {REASONS['unfilled']}")
    return lifespan.state


def find_lifespan(asked_for: str) -> Lifespan:
    """Return the lifespan that answers here.

    The order is: the one whose resource asks, the one of the block or of the request that asks,
    the one of the running event loop. In sync code it is the one of the event loop that called the
    code, or else the only one of the process.

    Raises:
        ResourceUnavailableError: there is none. The message says why *asked_for* is not available.
    """
    view = current_view.get()
    if view is not None:
        return view.lifespan
    loop = asyncio._get_running_loop()  # documented for event loops, and never raises
    if loop is None:
        lifespan = lifespans.of_sync_code()
        if lifespan is not None:
            return lifespan
    else:
        answer = answering.get()
        if answer is not None and answer.phase != "stopped" and answer.loop is loop:
            return answer
    candidates = lifespans.anywhere if loop is None else lifespans.running.get(loop, ())
    if len(candidates) == 1:
        return candidates[0]
    if candidates and loop is not None:
        # Of those in one loop, a server's comes first: others have a block, and are found by it.
        return next((each for each in reversed(candidates) if each.receive), candidates[-1])
    reason = _absence(candidates, loop)
    raise ResourceUnavailableError(f"{asked_for} is not available: {reason}")


def _absence(candidates: Sequence[Lifespan], loop: asyncio.AbstractEventLoop | None) -> str:
    """Say why no lifespan answers here."""
    if candidates:
        names = ", ".join(map(str, candidates))
        return REASONS["several"].format(number=len(candidates), lifespans=names)
    if any(loop in (None, lifespan.loop) for lifespan in lifespans.unfinished):
        return REASONS["starting"]
    if lifespans.running:
        is_served = any(lifespan.receive for lifespan in lifespans.anywhere)
        return REASONS["elsewhere" if is_served else "block elsewhere"]
    if lifespans.absence == "never begun":
        from .causes import why_no_lifespan

        return REASONS["never begun"].format(cause=why_no_lifespan())
    from .places import remedy_in_test

    return REASONS[lifespans.absence].format(
        failure=f"{lifespans.failure.removesuffix('.')}.",
        remedy=remedy_in_test(),  # it may have been that of an earlier test
    )
