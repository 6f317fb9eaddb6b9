"""The checks: how each probe's question is answered from what was seen of one launch."""

from . import closing, in_flight, log, startup, state, workers
from .common import BLOCKED, CHECKS, FAIL, NO, PARTIAL, PASS, YES, started

__all__ = (
    "BLOCKED",
    "CHECKS",
    "FAIL",
    "NO",
    "PARTIAL",
    "PASS",
    "YES",
    "closing",
    "in_flight",
    "log",
    "started",
    "startup",
    "state",
    "workers",
)
