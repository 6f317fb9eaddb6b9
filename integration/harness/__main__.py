"""``python -m integration.harness``: runs the matrix, or a part of it, and says what deviates."""

from __future__ import annotations

import argparse
import fnmatch
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.test_versions import find_interpreters

from . import render
from .environments import ROOT, Environments
from .probes import FAIL, PASS, Probe, read_probes
from .results import (
    FOLDER,
    VERSIONS,
    Result,
    lacks,
    outdated,
    read_notes,
    read_releases,
    read_results,
    write_result,
)
from .run import Run, Runner, plan
from .targets import Target, read_targets

PYTHON = "3.13"
"""The Python of the committed results."""


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="just matrix", description=__doc__)
    parser.add_argument("--target", action="append", default=[], help="only those like this one")
    parser.add_argument("--probe", action="append", default=[], help="only this one")
    parser.add_argument("--write", action="store_true", help="write the results of those targets")
    parser.add_argument("--smoke", action="store_true", help="a part that takes a few minutes")
    parser.add_argument("--versions", action="store_true", help="with earlier releases")
    parser.add_argument("--check", action="store_true", help="run nothing, check what is there")
    parser.add_argument("--render", action="store_true", help="run nothing, render the pages")
    options = parser.parse_args()
    # A shell lets its background jobs ignore SIGINT, and processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end what was started, too
    if options.check:
        sys.exit(check() or 0)
    if options.render:
        render_again()
        return
    if options.write and options.target and not options.probe:
        sys.exit("\n".join(run(options.target)) or 0)
    elif options.target or options.probe:
        Matrix().show(options.target, options.probe)
    elif options.smoke:
        sys.exit(Matrix(_available()).compare() or 0)
    elif options.versions:
        sys.exit("\n".join(try_versions()) or 0)
    else:
        sys.exit("\n".join(run(["*"])) or 0)


def _available() -> str:
    """Return the Python of the committed results, or the one that runs this where it is missing."""
    if PYTHON in find_interpreters():
        return PYTHON
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"Python {PYTHON} was not found: nothing is compared on {own}.", file=sys.stderr)
    return own


def run(patterns: Sequence[str]) -> list[str]:
    """Run the targets, write the results and the pages; return what deviates from before."""
    matrix = Matrix()
    matrix.run_controls()
    deviations = matrix.write(matrix.find(patterns), FOLDER)
    return deviations + _render()


def try_versions() -> list[str]:
    """Run targets with other releases, and write what they show."""
    deviations: list[str] = []
    Matrix().run_controls()
    for name, release in read_releases().items():
        print(f"{release.title}:", file=sys.stderr)
        matrix = Matrix(release.python, release.versions)
        deviations += matrix.write(matrix.find(release.targets), VERSIONS / name)
    return deviations + _render()


def render_again() -> None:
    """Write the notes into the results, and the pages."""
    notes = read_notes()
    for target, result in read_results().items():
        write_result(target, result, notes)
    render.write()


def _render() -> list[str]:
    """Render the pages if the results are complete; return what is missing."""
    if missing := _missing():
        return missing
    render.write()
    return []


def check() -> str:
    """Return what is wrong with what stands in the files, or an empty string."""
    wrong = _missing()
    if not wrong:  # else the pages cannot be rendered
        wrong = [*outdated(read_notes()), *render.differs(), *_uncommitted()]
    return "\n".join(wrong)


def _missing() -> list[str]:
    published = [target for target in read_targets().values() if not target.control]
    return lacks(published, read_probes(), read_results(), read_notes())


def _uncommitted() -> list[str]:
    """Return which results and pages are not as they were committed, new ones included."""
    command = ["git", "status", "--porcelain", "--", "integration", "docs/compatibility.md"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [f"not committed: {line[3:]}" for line in done.stdout.splitlines()]


class Matrix:
    """The targets, the probes, and a runner with environments for them.

    Args:
        python: the minor version, whose results are compared with its own alone.
        versions: releases to install instead of the pinned ones, by package.
    """

    def __init__(self, python: str = PYTHON, versions: Mapping[str, str] | None = None) -> None:
        interpreter = find_interpreters().get(python)
        if interpreter is None:
            sys.exit(f"The results are for Python {python}, which was not found here.")
        self.targets = read_targets()
        self.probes = read_probes()
        self._python = python
        environments = Environments(interpreter, versions)
        environments.build_wheels()
        self.runner = Runner(environments, python, self.probes)

    def find(self, patterns: Sequence[str]) -> list[Target]:
        """Return the targets that are named so; patterns such as ``"gunicorn*"`` name several."""
        found = {each for pattern in patterns for each in fnmatch.filter(self.targets, pattern)}
        if not found:
            sys.exit(f"No target is named so. There are: {', '.join(self.targets)}")
        return [target for name, target in self.targets.items() if name in found]

    def show(self, targets: Sequence[str], probes: Sequence[str]) -> None:
        """Run the chosen cells, and print each with everything that was seen."""
        chosen = [probe for probe in self.probes if not probes or probe.id in probes]
        if len(chosen) < len(probes):
            sys.exit(f"No such probe. There are: {', '.join(probe.id for probe in self.probes)}")
        which = self.find(targets or ["*"])
        self.runner.do(plan(which, [probe.scenario for probe in chosen]))
        for run, seen in self.runner.observations:
            answers = {p.id: p.answer(seen) for p in chosen if p.scenario == run.scenario}
            if probes or set(answers.values()) - {PASS, "yes", "no"}:
                print(seen.report)
            for probe, outcome in answers.items():
                print(f"{run.target.id}: {probe}: {outcome}")

    def compare(self) -> str:
        """Run the smoke targets; return which answers are not committed."""
        self.run_controls()
        smoke = [target for target in self.targets.values() if target.smoke]
        return "\n".join(self._run(smoke, read_results(), whole=False))

    def write(self, targets: Sequence[Target], folder: Path) -> list[str]:
        """Run the targets and write their results; return what deviates from before."""
        committed = read_results(folder)
        deviations = self._run(targets, committed, whole=True)
        notes = read_notes()
        for target in targets:
            if target.control:
                continue
            result = self.runner.results[target.id]
            if target.id in committed:
                result.widen(committed[target.id])
            write_result(target.id, result, notes, folder)
        return deviations

    def run_controls(self) -> None:
        """Run the controls.

        Raises:
            SystemExit: a probe is wrong, so that nothing that the others show would count.
        """
        controls = [target for target in self.targets.values() if target.control]
        self.runner.do(plan(controls))
        wrong = [
            fault
            for target in controls
            for fault in faults(target, self.runner.results[target.id], self.probes)
        ]
        if wrong:
            self._report({(fault.target, fault.scenario) for fault in wrong})
            sys.exit("\n".join(["The run is void:", *map(str, wrong)]))

    def _run(
        self, targets: Sequence[Target], committed: dict[str, Result], *, whole: bool
    ) -> list[str]:
        """Run the targets, what deviates twice more; return the deviations.

        Args:
            whole: another exit code, or course of events, deviates as well as another answer.
        """
        runs = plan([target for target in targets if not target.control])
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


class Fault:
    """What a control should not have answered."""

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
        if probe.required and not probe.unanswered(target) and result.outcome(probe.id) != expected
    ]


if __name__ == "__main__":
    main()
