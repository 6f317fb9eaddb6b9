"""The table of the messages of the core."""

from messages import (
    checks,
    commands,
    declarations,
    lookups,
    phases,
    probes,
    requests,
    servers,
    tests,
)
from messages.table import COURSE, OWN, ROWS, Row

__all__ = (
    "COURSE",
    "OWN",
    "ROWS",
    "Row",
    "checks",
    "commands",
    "declarations",
    "lookups",
    "phases",
    "probes",
    "requests",
    "servers",
    "tests",
)
