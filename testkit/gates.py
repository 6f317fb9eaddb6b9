"""Named gates at which a program under test holds until the test lets it go on.

The program calls `hold()` or `block()`, the test `Process.release()` or `Process.open_gate()`. A
file in the folder ``GATES`` lets one pass and is used up, a file ``*.open`` lets all pass.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from testkit import journal

INTERVAL = 0.01
"""Seconds between two looks at a gate, which another process opens."""


async def hold(name: str) -> None:
    """Return when the test lets *name* go on. Until then other tasks run."""
    journal.write(name, "held")
    while not _may_pass(name):  # noqa: ASYNC110 - another process opens the gate
        await asyncio.sleep(INTERVAL)


def block(name: str) -> None:
    """Return when the test lets *name* go on. Until then nothing else runs in this thread."""
    journal.write(name, "blocked")
    while not _may_pass(name):
        threading.Event().wait(INTERVAL)


def _may_pass(name: str) -> bool:
    gates = Path(os.environ["GATES"])
    if (gates / f"{name}.open").exists():
        return True
    try:
        (gates / name).unlink()
    except FileNotFoundError:
        return False
    return True
