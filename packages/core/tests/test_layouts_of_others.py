"""Real servers run layouts with the packages of other people, each with its usual way of use."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2
import pytest

from test_layouts import MINE, RUNNERS, serve
from test_mounted import LIMIT, call_tool
from testkit.client import HOST
from testkit.processes import Process
from testkit.services import redis, short_folder

pytestmark = [
    pytest.mark.process,
    pytest.mark.real_clock,
    pytest.mark.parametrize("runner", RUNNERS),
]

OPEN, CLOSE = MINE[:2], MINE[2:]


def run(
    layout: str, runner: str, *, needs: str, **environment: str
) -> AbstractContextManager[Process]:
    """Start the server of *runner* with *layout*, which imports the package *needs*."""
    reason = f"{needs} is not among the packages of `just test-versions`"
    pytest.importorskip(needs, reason=reason)
    return serve(layout, *RUNNERS[runner], module="layouts_of_others", **environment)


def shared(server: Process) -> bool:
    """Return whether Django's view has the resource of the project."""
    content = server.get("/django/").content
    return isinstance(content, dict) and content["shared"] is True


def end(server: Process) -> list[str]:
    """Stop *server*, and return its story. Its log has no traceback."""
    server.stop("SIGTERM")
    server.wait()
    assert "Traceback" not in server.output()
    return server.story()


def test_a_broker_of_faststream_lives_inside_the_resources(runner: str) -> None:
    """Its subscribers use them. The server of the broker is Redis."""
    with (
        short_folder() as folder,
        redis(folder) as url,
        run("faststream", runner, needs="faststream", REDIS_URL=url) as server,
    ):
        server.wait_until_serving()
        assert shared(server)
        assert server.get("/publish").status == 200
        server.wait_for("subscriber hello with Pool")
        assert end(server) == [
            "pool open",
            "broker start",
            "signal sent",
            "subscriber hello with Pool",
            "broker stop",
            "pool close",
        ]


def test_an_mcp_server_is_called_by_its_own_client(runner: str) -> None:
    """Its tool uses the resource of the project, and Django stands beside it."""

    async def greet(url: str) -> str:
        async with httpx2.AsyncClient() as client:
            return await asyncio.wait_for(call_tool(url, "auto", client), LIMIT)

    with run("mcp", runner, needs="mcp") as server:
        server.wait_until_serving()
        assert shared(server)
        url = f"http://{HOST}:{server.address.port}/mcp"
        assert asyncio.run(greet(url)) == "hello Pool"
        assert end(server) == MINE


def test_sentry_gets_the_error_of_a_view_and_no_other(runner: str) -> None:
    """Its middleware passes the lifespan scope on."""
    with run("sentry", runner, needs="sentry_sdk") as server:
        server.wait_until_serving()
        assert shared(server)
        assert server.get("/fail/").status == 500
        server.wait_for("sentry LookupError in /fail/")
        server.stop("SIGTERM")
        server.wait()
        assert server.story() == [*OPEN, "sentry LookupError in /fail/", *CLOSE]


def test_opentelemetry_gets_the_span_of_a_request(runner: str) -> None:
    """Its middleware passes the lifespan scope on."""
    with run("opentelemetry", runner, needs="opentelemetry.instrumentation.django") as server:
        server.wait_until_serving()
        assert shared(server)
        server.wait_for("span GET /django/")
        assert end(server) == [*OPEN, "span GET /django/", *CLOSE]


@pytest.mark.parametrize("layout", ["ddtrace", "ddtrace_stock"])
def test_ddtrace_run_keeps_its_root_span(runner: str, layout: str) -> None:
    """With our function, and with LifespanApplication around Django's own."""
    pytest.importorskip("ddtrace", reason="ddtrace is not installed")
    ddtrace_run = shutil.which("ddtrace-run", path=Path(sys.executable).parent)
    assert ddtrace_run is not None
    with serve(
        layout,
        *RUNNERS[runner],
        module="layouts_of_others",
        under=[ddtrace_run],
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_CRASHTRACKING_ENABLED="false",
    ) as server:
        server.wait_until_serving()
        assert shared(server)
        server.wait_for("spans django.request django.view")
        assert end(server) == [*OPEN, "spans django.request django.view", *CLOSE]
