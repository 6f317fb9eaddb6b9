"""The checks: each answers the question of a probe from the observation of one launch."""

from . import clients, closing, in_flight, log, startup, state, workers
from .common import BLOCKED, CHECKS, FAIL, NO, PARTIAL, PASS, YES, started

__all__ = (
    "BLOCKED",
    "CHECKS",
    "FAIL",
    "NO",
    "PARTIAL",
    "PASS",
    "YES",
    "clients",
    "closing",
    "in_flight",
    "log",
    "started",
    "startup",
    "state",
    "workers",
)
