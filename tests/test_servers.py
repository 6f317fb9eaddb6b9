"""The page about servers: its commands serve the quickstart, and its install lines exist."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testkit.client import HOST
from testkit.processes import start

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "servers.md").read_text(encoding="utf-8")
SERVERS = ("uvicorn", "gunicorn", "hypercorn", "daphne", "granian")
COMMANDS = re.findall(r"<!-- serve -->\n```sh\n(.*)\n```", PAGE)
ADDRESS = {
    "uvicorn-lifespan": ["--host", HOST, "--port", "{port}"],
    "gunicorn": ["--no-control-socket", "--bind", f"{HOST}:{{port}}"],
    "hypercorn-lifespan": ["--bind", f"{HOST}:{{port}}"],
    "daphne-lifespan": ["--bind", HOST, "--port", "{port}"],
    "granian-lifespan": ["--host", HOST, "--port", "{port}"],
}


class Weather(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"sunny")


@pytest.fixture
def weather_url() -> Iterator[str]:
    """The URL of the service that the quickstart asks for the weather."""
    with HTTPServer((HOST, 0), Weather) as service:
        Thread(target=service.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://{HOST}:{service.server_port}"
        service.shutdown()


@pytest.mark.process
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_serves_and_stops_without_a_failure(line: str, weather_url: str) -> None:
    """With nothing added but an address."""
    name, *arguments = shlex.split(line)
    if name == "gunicorn" and sys.platform == "win32":
        pytest.skip("gunicorn does not run there")
    command = [str(Path(sys.executable).with_name(name)), *arguments, *ADDRESS[name]]
    environment = {"WEATHER_URL": weather_url, "no_proxy": "*"}
    project = ROOT / "examples" / "quickstart"
    with start(command, cwd=project, environment=environment) as server:
        server.wait_until_serving()
        assert server.get("/forecast").content == b"sunny"
        server.stop("SIGTERM")
        assert server.wait() == 0


def test_each_server_has_a_command_and_its_install_line() -> None:
    """Whose extra the core has. The table has the lowest version that its adapter takes."""
    core = tomllib.loads((ROOT / "packages/core/pyproject.toml").read_text())["project"]
    installed = re.findall(
        r'<!-- install -->\n```sh\npip install "django-asgi-lifespan\[(\w+)\]>=1"\n```', PAGE
    )
    assert tuple(installed) == SERVERS
    assert {*SERVERS, "all"} == {*core["optional-dependencies"]}
    assert {shlex.split(line)[0].removesuffix("-lifespan") for line in COMMANDS} == {*SERVERS}
    for server in SERVERS:
        package = tomllib.loads((ROOT / f"packages/{server}/pyproject.toml").read_text())
        [least] = re.findall(rf"\b{server}>=([\d.]+)", str(package["project"]["dependencies"]))
        assert f"`[{server}]`: {server} {least} or newer" in PAGE
