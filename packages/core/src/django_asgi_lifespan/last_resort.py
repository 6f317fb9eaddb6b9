"""Lets the log show each warning and error of a lifespan, however logging is configured."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections import deque
from collections.abc import Iterator

__all__ = ("log", "log_failure", "reasons", "show")

reasons: deque[str] = deque(maxlen=10)
"""The latest failures of lifespans, as the server gets them. The log has each already."""


def log(
    logger: logging.Logger,
    level: int,
    message: str,
    *args: object,
    exc_info: BaseException | None = None,
) -> None:
    """Log a line, and never raise. A warning that no handler takes goes to the standard error.

    A project's ``LOGGING`` may have disabled the logger, and a level or a filter may refuse the
    line. A handler takes the line if it passes all filters of the handler.
    """
    thread = threading.get_ident()
    is_taken = level < logging.WARNING
    handlers = [] if is_taken else [*_handlers(logger)]

    def note(record: logging.LogRecord) -> bool:
        nonlocal is_taken
        is_taken |= threading.get_ident() == thread
        return True

    for handler in handlers:
        handler.addFilter(note)  # the last of its filters; a NullHandler asks none
    try:
        logger.log(level, message, *args, exc_info=exc_info, stacklevel=2)
    except Exception:  # a handler's own, or its stream is closed
        is_taken = level < logging.WARNING
    finally:
        for handler in handlers:
            handler.removeFilter(note)
    if not is_taken:
        _write(logger, level, message, args, exc_info)


def log_failure(logger: logging.Logger, message: str, failure: object) -> None:
    """Log that the server met *failure*, which fills the one gap in *message*, and never raise.

    It goes to the standard error only if the log has not told the reason yet.
    """
    text = str(failure)
    if any(reason in text for reason in reasons):
        with contextlib.suppress(Exception):
            logger.error(message, failure)
    else:
        log(logger, logging.ERROR, message, failure)


def show(logger: logging.Logger, message: str, *args: object) -> None:
    """Write a line of the level INFO to the standard error, unless the log shows such lines."""
    if not (logger.isEnabledFor(logging.INFO) and logger.hasHandlers()):
        _write(logger, logging.INFO, message, args, None)


def _handlers(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers that logging would call, and the one that it calls if there is none."""
    current: logging.Logger | None = logger
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None
    if logging.lastResort is not None:
        yield logging.lastResort


def _write(
    logger: logging.Logger,
    level: int,
    message: str,
    args: tuple[object, ...],
    error: BaseException | None,
) -> None:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(logger.name, level, "", 0, message, args, exc_info)
    with contextlib.suppress(Exception):  # it is None or closed, or nobody reads it
        text = logging.Formatter("%(levelname)s %(name)s: %(message)s").format(record)
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
