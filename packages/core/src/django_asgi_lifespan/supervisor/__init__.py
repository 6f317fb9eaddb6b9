"""Runs resources: in dependency order, one task each, with time limits, rollback and teardown."""

from .limits import GRACE
from .states import Supervised
from .supervisor import Supervisor

__all__ = ("GRACE", "Supervised", "Supervisor")
