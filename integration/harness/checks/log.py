"""The log: reasons, errors, and no noise."""

from __future__ import annotations

from integration.harness.observation import Observation

from .common import FAIL, NO, YES, check, started, verdict


@check
def exit_functions_run(seen: Observation) -> str:
    """Every worker ended as Python programs do, not by an OS signal."""
    return YES if seen.journal.count("atexit run") >= seen.processes else NO


@check
def quiet(seen: Observation) -> str:
    """No warning, no traceback."""
    if not started(seen):
        return FAIL
    noise = ("Traceback", "Warning", "never awaited", "was destroyed", "unsupported")
    return verdict(not any(word in seen.output for word in noise))


@check
def shutdown_error_logged(seen: Observation) -> str:
    """The log has the error that was raised in the shutdown."""
    return verdict(started(seen) and "the shutdown failed on purpose" in seen.output)


@check
def says_no_lifespan(seen: Observation) -> str:
    """The log says that resources were registered and never started."""
    return YES if "not started the lifespan" in seen.output else NO


@check
def refuses_trio(seen: Observation) -> str:
    """The log says why the application cannot run there, and the server ends, serving nothing."""
    said = "Django runs on asyncio alone" in seen.output
    return verdict(said and seen.client.ended and not seen.client.statuses)
