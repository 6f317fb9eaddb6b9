"""The project's application in a process that notes when Python's exit handlers run."""

from __future__ import annotations

import atexit

from . import journal
from .asgi import application

__all__ = ("application",)

atexit.register(journal.write, "process", "exited")
