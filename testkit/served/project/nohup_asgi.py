"""The same application in a process that ignores SIGHUP, as ``nohup`` starts one."""

from __future__ import annotations

import signal

from .asgi import application

__all__ = ("application",)

signal.signal(signal.SIGHUP, signal.SIG_IGN)
