"""The bakery, which WSGI workers of gunicorn serve."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testkit.client import HOST
from testkit.processes import Process, start

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run there"),
]

HERE = Path(__file__).parent


class Flour(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"rye")


@contextmanager
def flour() -> Generator[str]:
    """Yield the URL of a service that has flour."""
    with HTTPServer((HOST, 0), Flour) as service:
        Thread(target=service.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://{HOST}:{service.server_port}"
        service.shutdown()


@contextmanager
def bakery(*options: str, **environment: str) -> Generator[Process]:
    """Run the project under gunicorn, whose configuration it finds by itself."""
    command = [sys.executable, "-m", "gunicorn", "bakery.wsgi:application", "--no-control-socket"]
    command += ["--bind", f"{HOST}:{{port}}", "--workers", "2", *options]
    with start(command, cwd=HERE, environment=environment) as server:
        yield server


@pytest.mark.parametrize("options", [["-k", "sync"], ["-k", "gthread", "--preload"]])
def test_views_use_resources_and_each_worker_closes_its_own(options: list[str]) -> None:
    """A synchronous one directly, and an async one in its event loop."""
    with flour() as url, bakery(*options, FLOUR_URL=url) as server:
        server.until(lambda: server.output().count("Lifespan startup complete") == 2, "workers")
        assert server.get("/").content == {"bread": "3.20"}
        assert server.get("/flour/").content == b"rye"
        assert server.get("/async/").status == 500
        server.wait_for_output("http_client is not available: the lifespan runs in another event")
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert server.output().count("Lifespan shutdown complete") == 2


def test_a_failed_startup_ends_gunicorn() -> None:
    """With the exit code of a failed startup, and the reason in the log."""
    with bakery("--workers", "1", PRICES="missing.json") as server:
        assert server.wait() == 3
        assert "FileNotFoundError" in server.output()
