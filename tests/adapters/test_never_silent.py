"""Every server shows why a startup or shutdown failed, no matter how logging is configured."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pytest

from testkit.processes import Process
from testkit.stories import TRACEBACK

from .setups import SETUPS, Setup

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="it has other OS signals"),
]

KINDS = ("none", "json", "elsewhere", "filtered", "critical")
"""Those of ``testkit/served/project/logs.py``, but for the most frequent one: a root logger."""

CONSOLE = {"class": "logging.StreamHandler"}
LOG_CONFIG = {
    "version": 1,
    "disable_existing_loggers": True,
    "handlers": dict.fromkeys(["console", "error_console", "access"], CONSOLE),
    "root": {"handlers": ["console"], "level": "INFO"},
}
"""Some servers look for the names of their own handlers."""

OPTIONS = {
    "uvicorn": "--log-config={}",
    "hypercorn": "--log-config=json:{}",
    "gunicorn": "--log-config-json={}",
    "granian": "--log-config={}",
}
"""The option for a file of JSON, which daphne has not."""


def in_rotation(*kinds: str, always: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Return the decorator that runs a test with each setup, and the next kind of ``LOGGING``."""
    following = itertools.cycle(kinds)
    chosen = [
        pytest.param(setup, kind, id=f"{name}, {kind}")
        for name, setup in SETUPS.items()
        for kind in (*always, next(following))
    ]
    return pytest.mark.parametrize(("setup", "kind"), chosen)


def assert_shown_once(server: Process, reason: str, processes: int) -> None:
    """Assert that each process has shown *reason* at most once with its traceback, and one has."""
    assert reason in server.output()
    assert 1 <= server.output().count(TRACEBACK) <= processes


@in_rotation(*KINDS, always=("root",))
def test_a_failed_startup_says_why_once(setup: Setup, kind: str) -> None:
    """Most kinds have disabled the loggers of the server and of this project."""
    with setup.start("chain", CACHE_OPENING="fail", LOGGING=kind) as server:
        assert server.wait() == setup.startup_failed
        reason = "cache failed to start: RuntimeError: cache failed in opening"
        assert_shown_once(server, reason, len(server.pids()))


@in_rotation("root", *KINDS)
def test_a_failed_shutdown_says_why_once(setup: Setup, kind: str) -> None:
    """Likewise."""
    with setup.start("chain", CACHE_CLOSING="fail", LOGGING=kind) as server:
        setup.wait_until_started(server)
        assert server.get("/nothing/").status == 404  # no startup is left to interrupt
        server.stop("SIGTERM")
        assert server.wait() == setup.shutdown_failed
        reason = "cache failed to stop: RuntimeError: cache failed in closing"
        assert_shown_once(server, reason, setup.processes)
        assert server.output().count(TRACEBACK) == setup.processes


@pytest.mark.parametrize(
    ("setup", "option"),
    [
        pytest.param(setup, OPTIONS[server], id=name)
        for name, setup in SETUPS.items()
        if (server := name.partition(",")[0]) in OPTIONS
    ],
)
def test_a_file_that_configures_logging_silences_nothing(
    setup: Setup, option: str, tmp_path: Path
) -> None:
    """The server may read it before or after it imports this project."""
    file = tmp_path / "log.json"
    file.write_text(json.dumps(LOG_CONFIG))
    words = (option.format(file),)
    with setup.start("chain", *words, CACHE_OPENING="fail", LOGGING="none") as server:
        assert server.wait() == setup.startup_failed
        reason = "cache failed to start: RuntimeError: cache failed in opening"
        assert_shown_once(server, reason, len(server.pids()))
        # hypercorn reads it when it has something to say itself.
        assert "json:" in option or "pool started in" in server.output()


ACTING = ("uvicorn", "uvicorn, workers", "gunicorn", "gunicorn, uvicorn inside", "daphne")
"""The setups in which the adapter runs the lifespan of the application in front."""


@pytest.mark.parametrize("name", ACTING)
def test_a_failure_of_an_application_in_front_says_why(name: str) -> None:
    """No lifespan of the project has begun, so only the server's side can tell."""
    with SETUPS[name].start("chain", asgi="failing_front_asgi", LOGGING="root") as server:
        assert server.wait() == 3
        assert server.stories() == []
        assert 1 <= server.output().count("the front is broken") <= SETUPS[name].processes


@pytest.mark.parametrize("name", [each for each in SETUPS if "stock" not in each])
def test_an_application_that_cannot_be_imported_says_why(name: str) -> None:
    """After it has configured logging, it raises SystemExit or an error."""
    raised = "SystemExit" if name.startswith("gunicorn") else "LookupError"
    with SETUPS[name].start("chain", asgi="late_asgi", LOGGING="root", RAISING=raised) as server:
        assert server.wait() != 0
        assert raised in server.output()


@in_rotation("root", "elsewhere", "none", "critical")
def test_a_startup_that_hangs_names_the_resource_and_so_does_its_end(
    setup: Setup, kind: str
) -> None:
    """The OS signal interrupts it."""
    with setup.start("chain", CACHE_OPENING="held", LOGGING=kind, STARTUP_WARNING="0.1") as server:
        server.wait_for("cache held", times=setup.processes)
        server.wait_for_output(r"The startup has taken [\d.]+ s and goes on, waiting for: cache \(")
        server.stop("SIGTERM")
        assert server.wait() == setup.interrupted
        assert "The startup is interrupted, waiting for: cache\n" in server.output()
