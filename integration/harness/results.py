"""The results: the outcomes of a run and the committed ones, one file a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli
import tomli_w

from .checks import FAIL, PARTIAL
from .notes import Notes
from .observation import Observation
from .probes import NOT_APPLICABLE, UNTESTED, Probe
from .targets import Target

FOLDER = Path(__file__).parents[1] / "results"
VERSIONS = FOLDER / "versions"
VARIES = "varies"
NOTED = {FAIL, PARTIAL, VARIES}
"""Outcomes that need a note."""

MARKER = "# Written by `just matrix`: do not edit. What is said about an outcome: ../notes.toml\n"
_LEFT_OUT = ("application", "connection", "manage", "request", "sync request", "websocket")
"""Subjects whose events come in any order beside those of the lifespan."""


@dataclass(slots=True)
class Result:
    """Everything that launches showed of one target.

    Attributes:
        outcomes: by probe, every outcome that was seen.
        endings: by scenario, how the main process ended: its exit code, or ``killed``.
        events: by scenario, every sequence of events that was seen.
    """

    title: str
    setup: str
    python: str
    versions: dict[str, str]
    outcomes: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    endings: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    events: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def leave_out(self, target: Target, probes: Iterable[Probe]) -> None:
        """Say why the target has no answer to some of the probes."""
        for probe in probes:
            if reason := probe.unanswered(target):
                self.outcomes[probe.id] = {reason}

    def add(self, scenario: str, seen: Observation, probes: Iterable[Probe]) -> None:
        """Add the answers of one launch."""
        self.endings.setdefault(scenario, set()).add(_ending(seen))
        self.events.setdefault(scenario, set()).add(_sequence(seen))
        for probe in probes:
            if probe.scenario == scenario:
                self.outcomes.setdefault(probe.id, set()).add(probe.answer(seen))

    def outcome(self, probe: str) -> str:
        """Return the one outcome, or ``varies``."""
        seen = self.outcomes[probe]
        return VARIES if len(seen) > 1 else next(iter(seen))

    def deviates(self, committed: Result, scenario: str, probes: Iterable[Probe]) -> bool:
        """Return whether this scenario gave another answer than a committed one."""
        return any(
            not self.outcomes[probe.id] <= committed.outcomes[probe.id]
            for probe in probes
            if probe.scenario == scenario
            and probe.id in self.outcomes
            and probe.id in committed.outcomes
        )

    def differs(self, committed: Result, scenario: str) -> bool:
        """Return whether it ended otherwise, or showed another course of events, than before."""
        return scenario in committed.endings and not (
            self.endings.get(scenario, set()) <= committed.endings[scenario]
            and self.events.get(scenario, set()) <= committed.events[scenario]
        )

    def widen(self, committed: Result) -> None:
        """Add the other committed values of a cell that has shown one of them again."""
        for mine, theirs in (
            (self.outcomes, committed.outcomes),
            (self.endings, committed.endings),
            (self.events, committed.events),
        ):
            for key, values in mine.items():
                if values & theirs.get(key, set()):
                    values.update(theirs[key])

    def is_of_other_packages(self, committed: Result) -> bool:
        """Return whether the committed result was found with another Python or other releases."""
        return (self.python, self.versions) != (committed.python, committed.versions)

    def keep(self, committed: Result, probes: Iterable[Probe]) -> None:
        """Take over the committed answers, endings and events where nothing was played now."""
        for probe in probes:
            before = committed.outcomes.get(probe.id, set())
            if before - {NOT_APPLICABLE, UNTESTED}:
                self.outcomes.setdefault(probe.id, before)
        self.endings = committed.endings | self.endings
        self.events = committed.events | self.events


def _ending(seen: Observation) -> str:
    return "killed" if seen.code is None else str(seen.code)


def _sequence(seen: Observation) -> str:
    """Return the events of each worker, without its process id and times."""
    stories: list[str] = []
    for pid in dict.fromkeys(event.pid for event in seen.journal):
        events = [str(e) for e in seen.journal.of(pid) if e.subject not in _LEFT_OUT]
        if events:
            stories.append(", ".join(events))
    return "; ".join(
        f"{stories.count(story)} x {story}" if stories.count(story) > 1 else story
        for story in sorted(set(stories))
    )


# Files


def read_results(folder: Path = FOLDER) -> dict[str, Result]:
    """Return the committed result of each target."""
    return {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}


def _read(path: Path) -> Result:
    content: dict[str, Any] = tomli.loads(path.read_text())
    return Result(
        title=content["title"],
        setup=content["setup"],
        python=content["python"],
        versions=content["versions"],
        outcomes={
            name: set(entry.get("seen", [entry["outcome"]]))
            for name, entry in content["probes"].items()
        },
        endings={name: set(entry["exit"]) for name, entry in content["scenarios"].items()},
        events={name: set(entry["events"]) for name, entry in content["scenarios"].items()},
    )


def write_result(target: str, result: Result, notes: Notes, folder: Path = FOLDER) -> None:
    """Write one target's file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{target}.toml").write_text(_text(target, result, notes))


def folders() -> list[Path]:
    """Return the folder of the results, and those with other Pythons or releases."""
    return [FOLDER, *sorted(VERSIONS.iterdir())]


def outdated(notes: Notes) -> list[str]:
    """Return the files that are not as they would be written, with the notes as they are now."""
    return [
        f"{target}: its notes are not those of notes.toml (just matrix-render)"
        for folder in folders()
        for target, result in read_results(folder).items()
        if (folder / f"{target}.toml").read_text() != _text(target, result, notes)
    ]


def _text(target: str, result: Result, notes: Notes) -> str:
    content = {
        "title": result.title,
        "setup": result.setup,
        "python": result.python,
        "versions": dict(sorted(result.versions.items())),
        "probes": {
            probe: _entry(target, result, probe, notes) for probe in sorted(result.outcomes)
        },
        "scenarios": {
            name: {"exit": sorted(result.endings[name]), "events": sorted(result.events[name])}
            for name in sorted(result.endings)
        },
    }
    return MARKER + tomli_w.dumps(content, multiline_strings=False)


def _entry(target: str, result: Result, probe: str, notes: Notes) -> dict[str, Any]:
    outcome = result.outcome(probe)
    entry: dict[str, Any] = {"outcome": outcome}
    if outcome == VARIES:
        entry["seen"] = sorted(result.outcomes[probe])
    if outcome in NOTED:
        for note in notes.find(target, probe):
            entry["note"] = note.text
            entry["source"] = note.source
    return entry


# Completeness


def lacks(
    targets: Iterable[Target], probes: Iterable[Probe], results: Mapping[str, Result], notes: Notes
) -> list[str]:
    """Return the missing results, answers and notes, and those that belong to nothing."""
    wanted = {target.id: target for target in targets}
    probes = list(probes)
    missing = [f"{stranger}: no such target" for stranger in results.keys() - wanted.keys()]
    for name in wanted:
        if name in results:
            missing += _lacks(name, results[name], probes, notes)
        else:
            missing.append(f"{name}: no result")
    return missing


def _lacks(target: str, result: Result, probes: Iterable[Probe], notes: Notes) -> list[str]:
    strangers = result.outcomes.keys() - {probe.id for probe in probes}
    missing = [f"{target}: no such probe: {stranger}" for stranger in sorted(strangers)]
    for probe in probes:
        if probe.id not in result.outcomes:
            missing.append(f"{target}: no answer to {probe.id}")
        elif result.outcome(probe.id) in NOTED and not notes.find(target, probe.id):
            missing.append(f"{target}: {probe.id} is {result.outcome(probe.id)}, without a note")
    return missing
