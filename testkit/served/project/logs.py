"""The kinds of ``LOGGING`` that projects have, by the word of an environment variable."""

from __future__ import annotations

import json
import logging
from typing import Any

CONSOLE: dict[str, Any] = {"class": "logging.StreamHandler"}


class JSONFormatter(logging.Formatter):
    """One line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message and the traceback."""
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return json.dumps({"message": record.getMessage(), "trace": trace})


def refuse(record: logging.LogRecord) -> bool:
    """Refuse every record, as a filter of a handler for another purpose does."""
    return False


KINDS: dict[str, dict[str, Any]] = {
    "": {
        "disable_existing_loggers": False,
        "formatters": {"named": {"format": "%(name)s %(levelname)s: %(message)s"}},
        "handlers": {"console": CONSOLE | {"formatter": "named"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    },
    "none": {},
    "root": {"handlers": {"console": CONSOLE}, "root": {"handlers": ["console"], "level": "INFO"}},
    "json": {
        "formatters": {"json": {"()": "project.logs.JSONFormatter"}},
        "handlers": {"console": CONSOLE | {"formatter": "json"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    },
    "elsewhere": {
        "handlers": {"console": CONSOLE, "null": {"class": "logging.NullHandler"}},
        "loggers": {"shop": {"handlers": ["console"]}},
        "root": {"handlers": ["null"]},
    },
    "others": {
        "handlers": {"console": CONSOLE},
        "loggers": {"shop": {"handlers": ["console"]}},
    },
    "filtered": {
        "filters": {"refuse": {"()": lambda: refuse}},
        "handlers": {"console": CONSOLE | {"filters": ["refuse"]}},
        "root": {"handlers": ["console"], "level": "INFO"},
    },
    "critical": {
        "handlers": {"console": CONSOLE | {"level": "CRITICAL"}},
        "root": {"handlers": ["console"], "level": "CRITICAL"},
    },
}
"""Most disable the loggers that exist, which ``dictConfig`` does by default."""


def logging_of(kind: str) -> dict[str, Any]:
    """Return the ``LOGGING`` of one kind."""
    return {"version": 1, **KINDS[kind]} if KINDS[kind] else {}
