"""The probes: the questions in ``probes.toml``, each with the check that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tomli

from .checks import BLOCKED, CHECKS, FAIL, PASS, YES, started
from .observation import Observation
from .scenarios import SCENARIOS, SUITES
from .targets import Target

NOT_APPLICABLE, UNTESTED = "not-applicable", "untested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question. ``probes.toml`` explains the fields."""

    id: str
    scenario: str
    check: str
    question: str
    row: str = ""
    spec: str = ""

    @property
    def required(self) -> bool:
        """Whether it is a row of the contract."""
        return bool(self.row)

    def answer(self, seen: Observation) -> str:
        """Return the outcome: never a pass if the launch did not get as far as the question."""
        outcome = CHECKS[self.check](seen)
        if not seen.problem or outcome not in {PASS, YES}:
            return outcome
        return BLOCKED if started(seen) else FAIL

    def unanswered(self, target: Target) -> str:
        """Return why this target has no answer, or an empty string if a launch can give one."""
        if not SCENARIOS[self.scenario].needs <= target.capabilities:
            return NOT_APPLICABLE
        return "" if self.scenario in SUITES[target.suite] else UNTESTED


def read_probes(path: Path = Path(__file__).parents[1] / "probes.toml") -> list[Probe]:
    """Return every probe, in the order of the file."""
    return [Probe(**each) for each in tomli.loads(path.read_text())["probe"]]
