"""The matrix: chooses the runs, has them done, and compares the answers with the committed ones."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.test_versions import find_interpreters

from .checks import NO, PASS, YES
from .controls import faults
from .environments import Environments
from .notes import read_notes
from .probes import read_probes
from .results import Result, read_results, write_result
from .run import Run, Runner, plan
from .targets import Target, read_targets


class Matrix:
    """The targets, the probes, and a runner with environments for them.

    Args:
        python: the minor version. Results are compared only with those of the same one.
        versions: releases to install instead of the pinned ones, by package.
        probes: names or patterns of probes. If there are any, only their scenarios are played.
    """

    def __init__(
        self, python: str, versions: Mapping[str, str] | None = None, probes: Sequence[str] = ()
    ) -> None:
        interpreter = find_interpreters().get(python)
        if interpreter is None:
            sys.exit(
                f"The results are for Python {python}, which was not found here. `just pythons` "
                "lays 3.14 and 3.15 out."
            )
        self.targets = read_targets()
        self.probes = read_probes()
        chosen = [p for p in self.probes if any(fnmatch.fnmatch(p.id, each) for each in probes)]
        if probes and not chosen:
            sys.exit(f"No probe is named so. There are: {', '.join(p.id for p in self.probes)}")
        self._scenarios = [probe.scenario for probe in chosen]
        self._python = python
        environments = Environments(interpreter, versions)
        environments.build_wheels()
        self.runner = Runner(environments, python, self.probes)

    def find(self, patterns: Sequence[str]) -> list[Target]:
        """Return the targets of these names, or patterns such as ``"gunicorn*"``."""
        found = {each for pattern in patterns for each in fnmatch.filter(self.targets, pattern)}
        if not found:
            sys.exit(f"No target is named so. There are: {', '.join(self.targets)}")
        return [target for name, target in self.targets.items() if name in found]

    def show(self, target: str, probes: Sequence[str]) -> None:
        """Run the chosen cells, and print each with everything that was seen."""
        chosen = [probe for probe in self.probes if not probes or probe.id in probes]
        if len(chosen) < len(probes):
            sys.exit(f"No such probe. There are: {', '.join(probe.id for probe in self.probes)}")
        self.runner.do(plan(self.find([target]), [probe.scenario for probe in chosen]))
        for run, seen in self.runner.observations:
            answers = {p.id: p.answer(seen) for p in chosen if p.scenario == run.scenario}
            if probes or set(answers.values()) - {PASS, YES, NO}:
                print(seen.report)
            for probe, outcome in answers.items():
                print(f"{run.target.id}: {probe}: {outcome}")

    def compare(self) -> list[str]:
        """Run the smoke targets, and return the answers that are not committed."""
        smoke = [target for target in self.targets.values() if target.smoke]
        self.run_controls(smoke)
        return self._run(smoke, read_results(), whole=False)

    def write(self, targets: Sequence[Target], folder: Path) -> list[str]:
        """Run the targets, write their results, and return the deviations."""
        committed = read_results(folder)
        deviations = self._run(targets, committed, whole=True)
        notes = read_notes()
        for target in targets:
            if target.control:
                continue
            before = committed.get(target.id)
            result = self.runner.results.get(target.id, before)
            if result is None:
                continue
            if result is before:  # nothing of it was played
                result.leave_out(target, self.probes)
            elif before is not None:
                result.widen(before)
            if before is not None and self._scenarios:
                if result.is_of_other_packages(before):
                    deviations.append(f"{target.id}: not written. Run it without --probe.")
                    continue
                result.keep(before, self.probes)
            write_result(target.id, result, notes, folder)
        return deviations

    def run_controls(self, targets: Sequence[Target]) -> None:
        """Run the controls through the scenarios that the targets play.

        Raises:
            SystemExit: a probe is wrong, so that nothing that the others show would count.
        """
        controls = [target for target in self.targets.values() if target.control]
        played = {run.scenario for run in plan(targets, self._scenarios)}
        self.runner.do([run for run in plan(controls) if run.scenario in played])
        wrong = [
            fault
            for target in controls
            if target.id in self.runner.results
            for fault in faults(target, self.runner.results[target.id], self.probes)
        ]
        if wrong:
            self._report({(fault.target, fault.scenario) for fault in wrong})
            sys.exit("\n".join(["The run is void:", *map(str, wrong)]))

    def _run(
        self, targets: Sequence[Target], committed: dict[str, Result], *, whole: bool
    ) -> list[str]:
        """Run the targets, and the deviating runs twice more. Return the deviations.

        Args:
            whole: another exit code, or course of events, deviates as well as another answer.
        """
        targets = [target for target in targets if not target.control]
        runs = plan(targets, self._scenarios)
        self.runner.do(runs)
        deviating = [run for run in runs if self._deviates(run, committed, whole=whole)]
        self.runner.do([run for run in deviating for _ in range(2)])
        self._report({(run.target.id, run.scenario) for run in deviating})
        return [f"{run.target.id}: {run.scenario} deviates" for run in deviating]

    def _deviates(self, run: Run, committed: dict[str, Result], *, whole: bool) -> bool:
        before = committed.get(run.target.id)
        if before is None or before.python != self._python:
            return False
        mine = self.runner.results[run.target.id]
        return mine.deviates(before, run.scenario, self.probes) or (
            whole and mine.differs(before, run.scenario)
        )

    def _report(self, cells: set[tuple[str, str]]) -> None:
        for run, seen in self.runner.observations:
            if (run.target.id, run.scenario) in cells:
                print(f"{run.target.id}: {run.scenario}\n{seen.report}\n", file=sys.stderr)
