"""Failures reach the log or the standard error, no matter how a project configures logging."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from django_asgi_lifespan import ShutdownFailedError, StartupFailedError, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.last_resort import log, log_failure, reasons
from semantics.helpers import request

NAME = "django_asgi_lifespan"
FAILURE = "pool failed to {}: OSError: no database"


class JSONFormatter(logging.Formatter):
    """One line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return json.dumps({"message": record.getMessage(), "exception": trace})


def refuse(record: logging.LogRecord) -> bool:
    """Refuse every record."""
    return False


class Broken(logging.Handler):
    """A handler that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ValueError("I/O operation on closed file.")


CONSOLE = {"class": "logging.StreamHandler"}
KINDS: dict[str, dict[str, Any]] = {
    "no configuration": {},
    "a root logger alone": {"root": {"handlers": ["console"], "level": "INFO"}},
    "existing loggers disabled, no handler": {},
    "our logger with a handler, and the root": {
        "loggers": {NAME: {"handlers": ["console"], "propagate": False}},
        "root": {"handlers": ["console"]},
    },
    "a JSON formatter": {
        "formatters": {"json": {"()": JSONFormatter}},
        "handlers": {"console": CONSOLE | {"formatter": "json"}},
        "root": {"handlers": ["console"]},
    },
    "a NullHandler": {
        "handlers": {"null": {"class": "logging.NullHandler"}},
        "loggers": {NAME: {"handlers": ["null"], "propagate": False}},
    },
    "a handler of a higher level": {
        "handlers": {"console": CONSOLE | {"level": "CRITICAL"}},
        "root": {"handlers": ["console"]},
    },
    "a filter that refuses": {
        "filters": {"refuse": {"()": lambda: refuse}},
        "handlers": {"console": CONSOLE | {"filters": ["refuse"]}},
        "root": {"handlers": ["console"]},
    },
    "a filter of the logger": {
        "filters": {"refuse": {"()": lambda: refuse}},
        "loggers": {NAME: {"filters": ["refuse"]}},
        "root": {"handlers": ["console"]},
    },
    "a logger of a higher level": {
        "loggers": {NAME: {"level": "CRITICAL"}},
        "root": {"handlers": ["console"]},
    },
    "a root logger of a higher level": {"root": {"handlers": ["console"], "level": "CRITICAL"}},
    "a handler that raises": {
        "handlers": {"broken": {"()": Broken}},
        "root": {"handlers": ["broken"]},
    },
    "two handlers, of which one takes it": {
        "handlers": {"null": {"class": "logging.NullHandler"}, "console": CONSOLE},
        "root": {"handlers": ["null", "console"]},
    },
}


@pytest.fixture
def logging_reset() -> Iterator[None]:
    """Put logging back, as pytest needs it."""
    root, ours = logging.getLogger(), logging.getLogger(NAME)
    kept = [
        (each, each.level, each.propagate, each.handlers, each.filters) for each in (root, ours)
    ]
    disabled = {name: getattr(each, "disabled", False) for name, each in _loggers()}
    yield
    for each, level, propagate, handlers, filters in kept:
        each.setLevel(level)
        each.propagate, each.handlers, each.filters = propagate, handlers, filters
    for name, each in _loggers():
        if isinstance(each, logging.Logger):
            each.disabled = disabled.get(name, False)


def _loggers() -> list[tuple[str, Any]]:
    return [*logging.Logger.manager.loggerDict.items()]


def configure(kind: str) -> None:
    """Configure logging with all that ``dictConfig`` does by default, without pytest's handlers."""
    for each in (logging.getLogger(), logging.getLogger(NAME)):
        each.handlers, each.filters = [], []
    if kind != "no configuration":
        logging.config.dictConfig({"version": 1, "handlers": {"console": CONSOLE}, **KINDS[kind]})


@pytest.fixture
def stderr(logging_reset: None, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return all that was written to the standard error stream since the last call."""
    return lambda: capsys.readouterr().err


def shown(stderr: Callable[[], str], failure: str) -> tuple[int, int]:
    """Return how often *failure* and a traceback are in the output."""
    text = stderr()
    return text.count(failure), text.count("Traceback (most recent call last)")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failed_startup_says_why_once(kind: str, stderr: Callable[[], str]) -> None:
    """By a handler of the project, or on the standard error stream if none takes the record."""

    @resource
    async def pool() -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    handler = LifespanASGIHandler()
    configure(kind)
    with pytest.raises(StartupFailedError):
        await LifespanDriver(handler).startup()
    assert shown(stderr, FAILURE.format("start")) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failed_shutdown_says_why_once(kind: str, stderr: Callable[[], str]) -> None:
    """Also where logging is configured after the startup, as by a server's first line."""

    @resource
    async def pool() -> AsyncIterator[None]:
        yield
        raise OSError("no database")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    configure(kind)
    with pytest.raises(ShutdownFailedError):
        await driver.shutdown()
    assert shown(stderr, FAILURE.format("stop")) == (1, 1)


async def test_a_resource_that_dies_after_logging_was_configured_anew_says_why(
    stderr: Callable[[], str],
) -> None:
    """Nothing has enabled the logger since."""

    @resource
    async def pool() -> AsyncIterator[None]:
        configure("a root logger alone")
        raise OSError("no database")
        yield

    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert shown(stderr, FAILURE.format("start")) == (1, 1)


async def test_a_lifespan_tells_its_course_although_its_logger_was_disabled(
    stderr: Callable[[], str],
) -> None:
    """It enables the logger when it begins."""

    @resource
    async def pool() -> AsyncIterator[None]:
        yield

    handler = LifespanASGIHandler()
    configure("a root logger alone")
    async with LifespanDriver(handler):
        assert "pool started in" in stderr()
    assert "pool stopped in" in stderr()


async def test_a_server_without_a_lifespan_is_told_although_the_logger_is_disabled(
    stderr: Callable[[], str],
) -> None:
    """Its first request is answered, and nothing was opened."""

    @resource
    async def pool() -> AsyncIterator[None]:
        yield

    handler = LifespanASGIHandler()
    configure("a root logger alone")
    [start, *_] = await request(handler)
    assert start["status"] == 200
    assert stderr().startswith(f"ERROR {NAME}: Requests arrive, but the server has not")


@pytest.mark.parametrize("stream", ["closed", "none"])
@pytest.mark.parametrize("kind", ["no configuration", "a NullHandler", "a root logger alone"])
async def test_a_standard_error_that_is_closed_raises_nothing(
    kind: str, stream: str, monkeypatch: pytest.MonkeyPatch, logging_reset: None
) -> None:
    """The lifespan goes its way: a handler for that stream fails at each line."""

    @resource
    async def pool() -> AsyncIterator[None]:
        yield
        raise OSError("no database")

    handler = LifespanASGIHandler()
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    configure(kind)
    closed.close()
    if stream == "none":
        monkeypatch.setattr(sys, "stderr", None)
    driver = LifespanDriver(handler)
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match=r"^pool failed to stop: OSError: no database$"):
        await driver.shutdown()


def test_a_handler_that_another_thread_uses_does_not_count(stderr: Callable[[], str]) -> None:
    """Its record is another one."""

    class Busy(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.name == NAME:
                other = logging.getLogger("another")
                thread = threading.Thread(target=other.warning, args=("of another thread",))
                thread.start()
                thread.join(30)
            return record.name != NAME

    configure("no configuration")
    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(Busy())
    logging.getLogger().addHandler(handler)
    log(logging.getLogger(NAME), logging.ERROR, "the pool is %s", "broken")
    assert stderr() == f"ERROR {NAME}: the pool is broken\n"
    assert len(handler.filters) == 1


@pytest.mark.parametrize("message", ["100 %", "%d", "%s and %s"])
def test_a_message_that_cannot_be_formatted_raises_nothing(
    message: str, stderr: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logging reports it by itself."""
    configure("no configuration")
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logging.getLogger().addHandler(logging.NullHandler())
    log(logging.getLogger(NAME), logging.ERROR, message, "broken")
    assert stderr() == ""


def test_python_has_a_last_resort_of_its_own_unless_it_was_taken_away(
    stderr: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may set it to None."""
    configure("no configuration")
    monkeypatch.setattr(logging, "lastResort", None)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log(logging.getLogger(NAME), logging.WARNING, "slow")
    assert stderr() == f"WARNING {NAME}: slow\n"


def test_the_line_names_the_place_that_logs(caplog: pytest.LogCaptureFixture) -> None:
    """A format may show the file."""
    log(logging.getLogger(NAME), logging.ERROR, "broken")
    assert caplog.records[0].filename == "test_last_resort.py"


@pytest.mark.parametrize("is_told", [False, True])
def test_what_a_server_says_of_a_failure_is_no_news_if_the_log_has_the_reason(
    is_told: bool, stderr: Callable[[], str]
) -> None:
    """A disabled logger of the server brings it to the standard error stream only otherwise."""
    server = logging.getLogger("server.error")
    server.disabled = True
    reasons.clear()
    if is_told:
        reasons.append("the pool is broken")
    log_failure(server, "Startup failed: %s", StartupFailedError("the pool is broken"))
    told = "ERROR server.error: Startup failed: the pool is broken\n"
    assert stderr() == ("" if is_told else told)
