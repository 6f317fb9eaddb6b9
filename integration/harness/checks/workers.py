"""Workers that are replaced, added, taken away or killed."""

from __future__ import annotations

from integration.harness.observation import Observation

from .closing import closes
from .common import FAIL, check, started, verdict


@check
def replaces(seen: Observation) -> str:
    """The worker that leaves closes, the one that comes starts up, and both are gone at the end."""
    if not started(seen) or not seen.client.replaced:
        return FAIL
    return closes(seen)


@check
def replaces_in_place(seen: Observation) -> str:
    """As ``replaces``, but the old and the new lifespan may live in one process."""
    if not started(seen) or not seen.client.replaced or seen.hung or seen.orphans:
        return FAIL
    opened = seen.journal.count("base open")
    return verdict(opened >= 2 and opened == seen.journal.count("base closed"))


@check
def replaces_killed(seen: Observation) -> str:
    """A new worker starts up in place of the killed one, and all others close at the end."""
    if not started(seen) or not seen.client.replaced or seen.hung or seen.orphans:
        return FAIL
    others = [pid for pid in seen.journal.workers if seen.journal.of(pid).count("base closed")]
    return verdict(len(others) == len(seen.journal.workers) - 1)


@check
def loses_no_request(seen: Observation) -> str:
    """Every request was answered."""
    statuses = seen.client.statuses
    return verdict(started(seen) and statuses and set(statuses) == {200})


@check
def hup_is_clean(seen: Observation) -> str:
    """Upon SIGHUP workers are replaced, or the server stops, and everything is closed."""
    if not started(seen) or not (seen.client.replaced or seen.client.ended):
        return FAIL
    return closes(seen)


@check
def untouched(seen: Observation) -> str:
    """Nothing of the application was started."""
    if not seen.client.ended:
        return FAIL
    return verdict(seen.code and not started(seen))
