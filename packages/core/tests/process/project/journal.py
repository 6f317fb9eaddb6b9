"""What happened in the processes of this project, one JSON line an event."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from pathlib import Path

_file = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def write(subject: str, event: str) -> None:
    """Add a line, whole even when several processes write at the same time."""
    line = {"pid": os.getpid(), "subject": subject, "event": event, "time": time.monotonic()}
    os.write(_file, json.dumps(line).encode() + b"\n")


async def hold(subject: str) -> None:
    """Return when the test releases *subject*, once for each release."""
    write(subject, "held")
    while not _is_released(subject):  # noqa: ASYNC110 - by another process
        await asyncio.sleep(0.01)


def block(subject: str) -> None:
    """Do the same without letting anything else run in the event loop."""
    write(subject, "blocked")
    while not _is_released(subject):
        threading.Event().wait(0.01)


def _is_released(subject: str) -> bool:
    try:
        Path(os.environ["GATES"], subject).unlink()
    except FileNotFoundError:
        return False
    return True
