"""The library, whose MCP server is asked by MCP's own client."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from testkit.client import DEADLINE, HOST
from testkit.processes import Process, start
from testkit.services import PostgreSQL, short_folder

pytestmark = [pytest.mark.process, pytest.mark.real_clock]

HERE = Path(__file__).parent


class Weather(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"sunny")


@contextmanager
def weather() -> Generator[str]:
    """Yield the URL of a service that is asked for the weather."""
    with HTTPServer((HOST, 0), Weather) as service:
        Thread(target=service.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://{HOST}:{service.server_port}"
        service.shutdown()


CONTENT = """
from django.core.management import call_command
from django.contrib.flatpages.models import FlatPage
call_command("migrate", verbosity=0)
FlatPage.objects.create(title="About us", content="We sell books.")
"""


@contextmanager
def website(*options: str, **environment: str) -> Generator[Process]:
    """Run the project under our command of uvicorn, with one page in its database."""
    fill = [sys.executable, "manage.py", "shell", "-c", CONTENT]
    with start(fill, cwd=HERE, environment=environment) as filled:
        assert filled.wait() == 0
    command = [sys.executable, "-m", "django_asgi_lifespan_uvicorn", "website.asgi:application"]
    command += ["--port", "{port}", *options]
    with start(command, cwd=HERE, environment=environment) as server:
        server.wait_until_serving()
        yield server


async def use(server: Process, tool: str, **arguments: str) -> Any:
    """Return the result of a tool."""
    from mcp import Client

    async with Client(f"http://{HOST}:{server.port}/mcp", mode="legacy") as client:
        result = await client.call_tool(tool, arguments)
        assert not result.is_error, result
        assert result.structured_content
        return result.structured_content["result"]


def call(server: Process, tool: str, **arguments: str) -> Any:
    """Return the result of a tool to synchronous code."""
    return asyncio.run(asyncio.wait_for(use(server, tool, **arguments), DEADLINE))


def test_tools_use_resources(tmp_path: Path) -> None:
    """In any worker, and Django answers beside them."""
    name = str(tmp_path / "site")
    with weather() as url, website("--workers", "2", WEATHER_URL=url, DATABASE_NAME=name) as server:
        for _ in range(4):
            assert call(server, "weather", city="Oslo") == "sunny"
        assert server.get("/").content == {"titles": ["About us"]}
        server.wait_for_output(r"(?s)mcp started.*mcp started")  # in both workers
        server.stop("SIGTERM")
        assert server.wait() == 0
        output = server.output()
        assert "Traceback" not in output
        assert output.index("mcp stopped") < output.index("http_client stopped")


def test_a_tool_works_after_a_restart_of_the_database() -> None:
    """It has a new connection for each call, and leaves none open."""
    with short_folder() as folder, PostgreSQL(folder) as database:
        environment = {
            "DATABASE_ENGINE": "django.db.backends.postgresql",
            "DATABASE_HOST": str(folder),
            "DATABASE_NAME": "postgres",
            "DATABASE_USER": "tester",
        }
        with website(**environment) as server:
            for _ in range(2):
                assert call(server, "find_pages", words="books") == ["About us"]
                database.restart()
            server.stop("SIGTERM")
            assert server.wait() == 0
