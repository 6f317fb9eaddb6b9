"""The project's application in a process that notes when Python's exit handlers run.

With ``EXITING=blocked`` they take until the test lets them go on.
"""

from __future__ import annotations

import atexit
import os

from testkit import gates, journal

from .asgi import application

__all__ = ("application",)


@atexit.register
def note() -> None:
    """Tell the journal."""
    if os.environ.get("EXITING") == "blocked":
        gates.block("process")
    journal.write("process", "exited")
