"""Runs scenarios against targets, several at a time, and gathers the observations."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from .environments import Environments, versions
from .launch import PROJECT, launched
from .observation import Observation
from .probes import Probe
from .results import Result
from .scenarios import SCENARIOS, SUITES
from .targets import Target

AT_A_TIME = 5
"""Launches side by side: more than processors, because most of a launch is waiting."""

RACES = 3
"""How often a scenario is run whose outcome depends on who is faster."""


@dataclass(frozen=True, slots=True)
class Run:
    """One launch to do."""

    target: Target
    scenario: str


def plan(targets: Iterable[Target], scenarios: Sequence[str] = ()) -> list[Run]:
    """Return the launches that the targets call for, those of chosen scenarios if any are."""
    return [
        Run(target, name)
        for target in targets
        for name, scenario in SCENARIOS.items()
        if name in SUITES[target.suite]
        and scenario.needs <= target.capabilities
        and (not scenarios or name in scenarios)
    ]


class Runner:
    """Does launches, and adds each observation to the result of its target.

    Attributes:
        results: by target.
        observations: one of each launch.
    """

    def __init__(self, environments: Environments, python: str, probes: Sequence[Probe]) -> None:
        self._environments = environments
        self._python = python
        self._probes = probes
        self.results: dict[str, Result] = {}
        self.observations: list[tuple[Run, Observation]] = []

    def do(self, runs: Sequence[Run]) -> None:
        """Do the launches: races one at a time and three times each, all else side by side."""
        for run in runs:
            self._begin(run.target)
        races = [run for run in runs for _ in range(RACES) if SCENARIOS[run.scenario].race]
        others = [run for run in runs if not SCENARIOS[run.scenario].race]
        progress = _Progress(len(races) + len(others))
        # The slowest first, so that they are not waited for at the end.
        others.sort(key=lambda run: not SCENARIOS[run.scenario].slow)
        with ThreadPoolExecutor(AT_A_TIME) as executor:
            futures = {executor.submit(self._observe, run): run for run in others}
            try:
                for future in as_completed(futures):
                    self._add(futures[future], future.result())
                    progress.step(futures[future])
            except BaseException:  # running launches end, waiting ones do not begin
                executor.shutdown(wait=False, cancel_futures=True)
                raise
        for run in races:
            self._add(run, self._observe(run))
            progress.step(run)

    def _begin(self, target: Target) -> None:
        if target.id in self.results:
            return
        environment = self._environments.make(target.requirements)
        names = [word.split("[")[0].lower() for word in (*target.requirements, "asgiref")]
        names += ["uvicorn"]
        result = Result(
            title=target.title,
            setup=target.setup,
            python=self._python,
            versions=versions(environment, {n for n in names if "lifespan" not in n}),
        )
        result.leave_out(target, self._probes)
        self.results[target.id] = result

    def _observe(self, run: Run) -> Observation:
        target, scenario = run.target, SCENARIOS[run.scenario]
        environment = self._environments.make(target.requirements)
        application = "routed:application" if scenario.routed else run.target.application
        words = [
            word.replace("{application}", application).replace("{graceful}", str(scenario.graceful))
            for word in (*target.command, *_options(target, scenario.needs))
        ]
        program = environment / "bin" / words[0]
        if not program.exists():
            raise SystemExit(f"{target.id}: its packages have no program {words[0]!r}.")
        words[0] = str(program)
        variables = {
            "PATH": f"{environment / 'bin'}:/usr/bin:/bin",
            "SETUP": target.setup,
            "APPLICATION": application.replace(":", "."),
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": f".:{PROJECT.parents[1]}",  # for testkit
            **target.environment,
            **scenario.environment,
        }
        with launched(words, variables, unix=target.unix, occupied=scenario.occupied) as launch:
            return scenario.play(launch, target.processes)

    def _add(self, run: Run, seen: Observation) -> None:
        self.observations.append((run, seen))
        self.results[run.target.id].add(run.scenario, seen, self._probes)


def _options(target: Target, needs: Iterable[str]) -> list[str]:
    return [word for need in sorted(needs) for word in target.options.get(need, ())]


class _Progress:
    """Says which target is being run, how many launches of how many are done, and the time left."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._said = 0.0

    def step(self, run: Run) -> None:
        """Count one launch, and say so every five seconds and at the end."""
        self._done += 1
        now = time.monotonic()
        if now - self._said < 5 and self._done < self._total:
            return
        self._said = now
        left = (now - self._start) / self._done * (self._total - self._done)
        print(
            f"[{self._done}/{self._total}] {run.target.id}: {run.scenario}, "
            f"{left / 60:.0f} min {left % 60:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
