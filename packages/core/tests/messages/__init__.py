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
from messages.table import CODE, COURSE, OWN, ROWS, Row, without_codes

__all__ = (
    "CODE",
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
    "without_codes",
)
