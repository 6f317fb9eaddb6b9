"""The notes: the reason of an outcome, the remedy, and the source of both."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli


@dataclass(frozen=True, slots=True)
class Note:
    """A text about the outcomes that its patterns cover, and its source."""

    targets: tuple[str, ...]
    probes: tuple[str, ...]
    text: str
    source: str

    def covers(self, target: str, probe: str) -> bool:
        """Return whether it is about this outcome."""
        return any(fnmatch.fnmatch(target, each) for each in self.targets) and any(
            fnmatch.fnmatch(probe, each) for each in self.probes
        )


class Notes:
    """All notes. The first one that covers an outcome is its own."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self.all = tuple(notes)

    def find(self, target: str, probe: str) -> list[Note]:
        """Return the note of this outcome, if there is one."""
        return [note for note in self.all if note.covers(target, probe)][:1]


def read_notes(path: Path = Path(__file__).parents[1] / "notes.toml") -> Notes:
    """Return the notes in the order of the file."""
    entries: list[Mapping[str, Any]] = tomli.loads(path.read_text()).get("note", [])
    return Notes(
        Note(tuple(each["targets"]), tuple(each["probes"]), each["text"].strip(), each["source"])
        for each in entries
    )
