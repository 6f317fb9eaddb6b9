"""The quickstart, run as its reader runs it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread, Timer

import httpx
import pytest

pytestmark = pytest.mark.process

HERE = Path(__file__).parent
DEADLINE = 60.0


class Weather(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"sunny")


@pytest.fixture
def weather_url() -> Generator[str]:
    """The URL of the service that the quickstart asks for the weather."""
    with HTTPServer(("127.0.0.1", 0), Weather) as server:
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def server(weather_url: str) -> Generator[subprocess.Popen[str]]:
    """Stock uvicorn with the quickstart. It is killed after the test, or in it at the deadline."""
    with subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "mysite.asgi:application", "--port", "0"],
        cwd=HERE,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "WEATHER_URL": weather_url,
            "WEB_CONCURRENCY": "1",
            "no_proxy": "*",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        watchdog = Timer(DEADLINE, process.kill)
        watchdog.start()
        yield process
        watchdog.cancel()
        process.kill()


def test_a_view_uses_the_client_of_its_worker(server: subprocess.Popen[str]) -> None:
    """The view answers with the client's text, and uvicorn shuts down without a complaint."""
    assert server.stdout
    output = ""
    while not (found := re.search(r"Uvicorn running on (\S+)", output)):
        line = server.stdout.readline()
        assert line, f"uvicorn ended:\n{output}"
        output += line

    answer = httpx.get(f"{found[1]}/forecast", trust_env=False)
    server.send_signal(signal.SIGTERM)
    output += server.stdout.read()

    assert (answer.status_code, answer.text) == (200, "sunny"), output
    assert server.wait() == -signal.SIGTERM, output
    assert "Application shutdown complete." in output
    assert "ERROR" not in output
    assert "Traceback" not in output


def test_the_quickstart_is_quick() -> None:
    """The README shows about twenty lines of it, imports and all."""
    shown = ["mysite/asgi.py", "weather/lifespan.py", "weather/views.py"]
    lines = [line for name in shown for line in (HERE / name).read_text().splitlines() if line]

    assert len(lines) <= 20
