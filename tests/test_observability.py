"""The page about observability: the log lines, reports and spans that it promises."""

from __future__ import annotations

import gzip
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testkit.client import HOST
from testkit.processes import Process, start

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"<!-- shown -->\n```\n(.*?)```", PAGE, re.DOTALL)
[SENTRY] = re.findall(r"<!-- settings -->\n```python\n(.*?)```", PAGE, re.DOTALL)
[TRACED] = re.findall(r"<!-- serve -->\n```sh\n(.*)\n```", PAGE)
[LOGGING] = re.findall(r"```python\n(LOGGING = .*?)```", OPERATIONS, re.DOTALL)
BROKEN = """
from django_asgi_lifespan import resource

@resource
async def pool():
    raise OSError("refused")
    yield
"""


def depot(
    tmp_path: Path, line: str, settings: str, environment: Mapping[str, str]
) -> AbstractContextManager[Process]:
    """Serve the project of the page about deployment, with more settings."""
    (tmp_path / "observed.py").write_text(f"from depot.settings import *\n{settings}")
    name, *arguments = shlex.split(line)
    program = Path(sys.executable).with_name(name)
    if not program.is_file():
        pytest.skip(f"{name} is not installed for this Python")
    variables = {
        "DJANGO_SETTINGS_MODULE": "observed",
        "PYTHONPATH": str(tmp_path),
        "SECRET_KEY": "for tests only",
        "PATH": str(program.parent),
        **environment,
    }
    command = [str(program), *arguments, "--host", HOST, "--port", "{port}"]
    return start(command, cwd=ROOT / "examples" / "deployment", environment=variables)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [*zip(("DEBUG = True", LOGGING), SHOWN, strict=True)],
    ids=("DEBUG", "INFO"),
)
def test_the_log_has_the_lines_of_the_page(tmp_path: Path, settings: str, shown: str) -> None:
    """With the setting that stands above them."""
    with depot(tmp_path, "uvicorn-lifespan depot.asgi:application", settings, {}) as server:
        server.wait_until_serving()
        for line in shown.splitlines():
            server.wait_for_output(re.sub(r"\d+ ms", r"\\d+ ms", line))


class Reports(BaseHTTPRequestHandler):
    """The server of Sentry, which keeps the reports that it gets."""

    kept: list[str]

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        is_packed = self.headers["Content-Encoding"] == "gzip"
        self.kept.append((gzip.decompress(content) if is_packed else content).decode())
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def reports() -> Iterator[tuple[str, list[str]]]:
    """An address for reports, and those that have arrived."""
    kept: list[str] = []
    handler = type("Kept", (Reports,), {"kept": kept})
    with ThreadingHTTPServer((HOST, 0), handler) as service:
        Thread(target=service.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://key@{HOST}:{service.server_port}/1", kept
        service.shutdown()


def test_sentry_gets_the_failure_of_a_startup(
    tmp_path: Path, reports: tuple[str, list[str]]
) -> None:
    """With its exception, before the process has ended."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").touch()
    (tmp_path / "broken" / "lifespan.py").write_text(BROKEN)
    address, kept = reports
    settings = f"INSTALLED_APPS += ['broken']\n{SENTRY}"
    line = "uvicorn-lifespan depot.asgi:application"
    variables = {"SENTRY_DSN": address, "no_proxy": "*"}
    with depot(tmp_path, line, settings, variables) as server:
        assert server.wait() == 3
    [report] = [report for report in kept if '"OSError"' in report]
    assert "pool failed to start: OSError: refused" in report


def test_opentelemetry_gets_the_span_of_a_request(tmp_path: Path) -> None:
    """By the command of the page, and one exporter."""
    variables = {"OTEL_TRACES_EXPORTER": "console"}
    variables |= dict.fromkeys(("OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none")
    with depot(tmp_path, TRACED, "", variables) as server:
        server.wait_until_serving()
        assert server.get("/").content == {"apples": 3}
        server.stop("SIGTERM")
        assert server.wait() == 0
        assert '"kind": "SpanKind.SERVER"' in server.output()
