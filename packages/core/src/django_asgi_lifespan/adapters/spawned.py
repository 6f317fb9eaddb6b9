"""Lets the parent process of a server know the workers that ``multiprocessing`` spawns."""

from __future__ import annotations

import copyreg
import os
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from typing import Any

__all__ = ("note_spawned",)


def note_spawned(
    note: Callable[[SpawnProcess], object], *, prepare: Callable[[], object] | None = None
) -> None:
    """Call *note* with each worker that this process is about to spawn.

    If *note* changes the class of the worker, the process itself gets that class, too.

    Args:
        prepare: called in the worker, before it imports anything for its work. It is pickled.
    """
    parent = os.getpid()

    def reduce(worker: SpawnProcess) -> tuple[Any, ...]:
        if os.getpid() != parent:  # a worker that was forked spawns a process of its own
            return _make, (type(worker), None), vars(worker)
        note(worker)
        return _make, (type(worker), prepare), vars(worker)

    copyreg.pickle(SpawnProcess, reduce)


def _make(kind: type[SpawnProcess], prepare: Callable[[], object] | None) -> SpawnProcess:
    if prepare is not None:
        prepare()
    return kind.__new__(kind)
