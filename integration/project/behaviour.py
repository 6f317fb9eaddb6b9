"""The scenario's wishes, in environment variables, and the gates at which the application waits."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

SETUP = os.environ["SETUP"]
"""``stock``: stock Django, without our package. Otherwise it is our handler."""

STARTUP = os.environ.get("STARTUP", "")
"""The behaviour of the resource ``dependent`` as it starts up: see ``lifespan.py``."""

SHUTDOWN = os.environ.get("SHUTDOWN", "")
"""Its behaviour as it shuts down."""

HOLDS_IMPORT = "HOLDS_IMPORT" in os.environ
"""The import of the application ends when the gate ``import`` is open."""

_GATES = Path(os.environ["GATES"])


async def gate(name: str) -> None:
    """Return when the scenario has opened this gate."""
    while not (_GATES / name).exists():  # noqa: ASYNC110 (another process opens it)
        await asyncio.sleep(0.01)


def blocking_gate(name: str) -> None:
    """Block the thread until the scenario has opened this gate."""
    while not (_GATES / name).exists():
        threading.Event().wait(0.01)
