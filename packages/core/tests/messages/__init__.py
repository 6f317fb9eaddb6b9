"""The table of the messages of the core."""

from messages import declarations, lookups, phases, servers
from messages.table import COURSE, OWN, ROWS, Row

__all__ = ("COURSE", "OWN", "ROWS", "Row", "declarations", "lookups", "phases", "servers")
