"""The controls' verdict: which answers of the null server and of the reference are wrong."""

from __future__ import annotations

from collections.abc import Sequence

from .checks import FAIL, PASS
from .probes import Probe
from .results import Result
from .targets import Target


class Fault:
    """An answer that a control should not have given."""

    def __init__(self, target: str, probe: Probe, outcome: str) -> None:
        self.target = target
        self.scenario = probe.scenario
        self._text = f"{target}: {probe.id}: {outcome}"

    def __str__(self) -> str:
        return self._text


def faults(target: Target, result: Result, probes: Sequence[Probe]) -> list[Fault]:
    """Return the required probes that pass under the null server or fail under the reference."""
    expected = FAIL if target.control == "null" else PASS
    return [
        Fault(target.id, probe, result.outcome(probe.id))
        for probe in probes
        if probe.required
        and not probe.unanswered(target)
        and probe.id in result.outcomes  # with --probe, only a part is asked
        and result.outcome(probe.id) != expected
    ]
