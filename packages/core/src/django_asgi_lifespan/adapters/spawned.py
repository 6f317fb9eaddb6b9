"""Lets the parent process of a server know the workers that ``multiprocessing`` spawns."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from typing import Any

__all__ = ("note_spawned",)


def note_spawned(
    note: Callable[[SpawnProcess], object], *, prepare: Callable[[], object] | None = None
) -> None:
    """Call *note* with each worker that is about to be spawned, in this process.

    If *note* changes the class of the worker, the process itself gets that class, too.

    Args:
        prepare: called in the worker, before it imports anything for its work. It is pickled.
    """

    def reduce(worker: SpawnProcess) -> tuple[Any, ...]:
        note(worker)
        return _make, (type(worker), prepare), vars(worker)

    copyreg.pickle(SpawnProcess, reduce)


def _make(kind: type[SpawnProcess], prepare: Callable[[], object] | None) -> SpawnProcess:
    if prepare is not None:
        prepare()
    return kind.__new__(kind)
