"""The cinema in three layouts, each served by uvicorn with our adapter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from testkit.client import HOST
from testkit.processes import start

pytestmark = pytest.mark.process

HERE = Path(__file__).parent


@pytest.mark.parametrize("layout", ["front", "beside", "driven"])
def test_django_and_fastapi_share_a_resource(layout: str) -> None:
    """In one worker, which stops without a complaint."""
    command = [sys.executable, "-m", "uvicorn", f"cinema.{layout}_asgi:application"]
    with start([*command, "--host", HOST, "--port", "{port}"], cwd=HERE) as server:
        server.wait_until_serving()
        assert server.get("/").content == {"films": ["Metropolis"]}
        assert server.get("/tickets").content == {"tickets": 100, "films": ["Metropolis"]}
        server.stop("SIGTERM")
        server.wait()
        assert "Application shutdown complete." in server.output()
        assert "ERROR" not in server.output()
