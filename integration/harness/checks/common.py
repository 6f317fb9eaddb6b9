"""The outcomes, the register of checks, and helpers that several checks use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from integration.harness.client import Answer
from integration.harness.observation import Observation

Check = Callable[[Observation], str]

PASS, FAIL, PARTIAL, BLOCKED = "pass", "fail", "partial", "blocked"
YES, NO = "yes", "no"
NAMES = ["base", "dependent"]
"""The names in the state after a startup of the project."""

CHECKS: dict[str, Check] = {}
"""Every check by the name that ``probes.toml`` calls it by."""


def check(function: Check) -> Check:
    """Register a function under its name, for ``probes.toml``."""
    CHECKS[function.__name__] = function
    return function


def verdict(holds: object) -> str:
    """Return ``pass`` or ``fail``."""
    return PASS if holds else FAIL


def started(seen: Observation) -> bool:
    """Whether any worker began its startup: nothing that is required holds without it."""
    return bool(seen.journal.workers)


def stories(seen: Observation) -> list[list[str]]:
    """Return the events of each process, in words such as ``"base open"``."""
    pids = dict.fromkeys(event.pid for event in seen.journal)
    return [[str(event) for event in seen.journal.of(pid)] for pid in pids]


def fields(answer: Answer) -> dict[str, Any]:
    """Return the content of an answer that is a JSON object, else nothing."""
    content = answer.content
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}
