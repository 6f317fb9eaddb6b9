"""Request threads under Sentry and OpenTelemetry, which keep their data in context variables."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .traced_requests import REQUESTS

pytestmark = [pytest.mark.process, pytest.mark.real_clock]


@pytest.mark.parametrize(
    ("tracer", "module"),
    [("sentry", "sentry_sdk"), ("opentelemetry", "opentelemetry.instrumentation.django")],
)
def test_each_report_belongs_to_its_own_request(tracer: str, module: str) -> None:
    """As under stock Django, with many requests in one thread, at once and in turn."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{module} is not installed")
    command = [sys.executable, "-m", "request_threads.traced_requests", tracer]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, timeout=300, check=True
    )
    told = json.loads(done.stdout)
    assert len(told["stock"]) == 4 * REQUESTS
    assert told["request threads"] == told["stock"]
    assert all(len(set(report)) == 1 for report in told["stock"])
