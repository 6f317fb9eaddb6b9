"""Runs resources: in dependency order, one task each, with time limits, rollback and teardown."""

from .limits import GRACE
from .supervisor import Supervisor
from .task import Supervised

__all__ = ("GRACE", "Supervised", "Supervisor")
