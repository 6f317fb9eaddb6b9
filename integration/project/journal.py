"""The journal: the events of every worker, one JSON line each."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time

_OUTPUT = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(phase: str, event: str, subject: str) -> None:
    """Append one event: ``write("startup", "opened", "base")``.

    It is one system call, so that neither another process nor a signal can come between.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    entry = {
        "pid": os.getpid(),
        "phase": phase,
        "event": event,
        "subject": subject,
        "loop": id(task.get_loop()) if task else None,
        "task": id(task) if task else None,
        "thread": threading.get_ident(),
        "time": time.monotonic(),
    }
    os.write(_OUTPUT, json.dumps(entry).encode() + b"\n")
