"""The probes of a worker, and the fate of the clients that ask them."""

from __future__ import annotations

from integration.harness.observation import Observation

from .closing import closes
from .common import BLOCKED, NO, PASS, YES, check, started, verdict


@check
def probes_answer(seen: Observation) -> str:
    """Every probe says 200 while the server serves."""
    fates = seen.client.glimpses.get("serving", {})
    return verdict(started(seen) and fates and set(fates.values()) == {"200"})


@check
def not_ready_at_startup(seen: Observation) -> str:
    """Nobody was told that the worker is ready before its startup was complete."""
    return verdict(started(seen) and _readiness(seen, "startup") not in {"200", ""})


@check
def not_ready_at_stop(seen: Observation) -> str:
    """Nobody was told that the worker is ready after the OS signal."""
    return verdict(started(seen) and _readiness(seen, "stop") not in {"200", ""})


@check
def client_at_startup(seen: Observation) -> str:
    """The fate of a client that comes before the startup is complete."""
    return _readiness(seen, "startup") or BLOCKED


@check
def client_at_stop(seen: Observation) -> str:
    """The fate of a client that comes after the OS signal, while a request is in flight."""
    return _readiness(seen, "stop") or BLOCKED


@check
def delays_stop(seen: Observation) -> str:
    """Readiness fails first, while new clients are served, and then everything is closed."""
    delayed = seen.client.glimpses.get("delay") == {"/readyz": "503", "/": "200"}
    return YES if delayed and closes(seen) == PASS else NO


def _readiness(seen: Observation, phase: str) -> str:
    return seen.client.glimpses.get(phase, {}).get("readyz", "")
