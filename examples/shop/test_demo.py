"""The demo, run as a person runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

DEMO = Path(__file__).with_name("demo.py")
RESOURCES = ["http_client", "catalogue", "database", "consumer"]


def run_demo(*options: str) -> tuple[int, str]:
    """The demo's exit code and what it printed. It ends by itself when a minute has passed."""
    done = subprocess.run(
        [sys.executable, DEMO, *options],
        env={**os.environ, "COLUMNS": "80", "FORCE_COLOR": "", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout


def assert_order(output: str, *events: str) -> None:
    found = [re.search(rf"  {event}(?:  |\n)", output) for event in events]
    places = [each.start() for each in found if each]
    assert len(places) == len(events), output
    assert places == sorted(places), output


def assert_server_is_gone(output: str) -> None:
    found = re.search(r"process (\d+)", output)
    assert found, output
    with pytest.raises(ProcessLookupError):
        os.kill(int(found[1]), 0)


def test_everything_is_opened_before_the_requests_and_closed_after_them() -> None:
    """Each resource is open from before the first request until after the last, in order."""
    exit_code, output = run_demo()

    assert exit_code == 0, output
    for name in RESOURCES:
        assert_order(
            output,
            "uvicorn launched",
            f"{name} opened",
            "uvicorn serves",
            "GET /catalogue",
            "GET /stock/tea",
            "SIGTERM sent",
            f"{name} closed",
            "uvicorn ended",
        )
    for name, required in (("catalogue", "http_client"), ("consumer", "database")):
        assert_order(output, f"{required} opened", f"{name} opened")
        assert_order(output, f"{name} closed", f"{required} closed")
    assert "\nEverything that was opened was closed.\n" in output
    assert_server_is_gone(output)


def test_a_killed_server_is_no_success() -> None:
    """The demo says which resources a server that was killed left open, and fails."""
    exit_code, output = run_demo("--kill")

    assert exit_code == 1, output
    assert "\nNot everything that was opened was closed.\n" in output
    for name in RESOURCES:
        assert f"\n- {name} was opened and not closed.\n" in output
    assert "\n- uvicorn ended with exit code -9 (SIGKILL), not exit code -15 (SIGTERM).\n" in output
    assert "\nThe server's output:\n" in output
    assert_server_is_gone(output)
