"""The page Start, done by the letter: in an empty folder, one block after the other."""

from __future__ import annotations

import os
import re
import socketserver
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest

from testkit.processes import Process, start
from tools import pins

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
STEPS = re.findall(r"<!-- (\w+)(?: (\S+))? -->\n```\w*\n(.*?)```", PAGE, re.DOTALL)


class Proxy(BaseHTTPRequestHandler):
    """The internet of the test: it answers every request for any host."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"sunny")


@pytest.fixture
def internet() -> Iterator[str]:
    """The address of a proxy that answers for every host."""
    with socketserver.TCPServer(("127.0.0.1", 0), Proxy) as proxy:
        Thread(target=proxy.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """The variables by which pip finds our wheels, and a shell this Python."""
    wheels = tmp_path / "wheels"
    for package in ("core", "uvicorn"):
        command = [pins.find_uv(), "build", "--quiet", "--wheel", "--out-dir", str(wheels)]
        subprocess.run([*command, str(ROOT / "packages" / package)], timeout=120, check=True)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(pins.read_pins()))
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    return {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONSTRAINT": str(constraints),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.mark.skipif(sys.platform == "win32", reason="the blocks are for a POSIX shell")
@pytest.mark.skipif(not find_spec("ensurepip"), reason="this Python cannot make environments")
def test_the_blocks_work_in_their_order(
    tmp_path: Path, environment: Mapping[str, str], internet: str
) -> None:
    """An address stands for the network, and the port is a free one. Nothing else is changed."""
    folder = tmp_path
    online = {**environment, "http_proxy": internet, "no_proxy": "", "NO_PROXY": ""}
    activate = ""
    with ExitStack() as running:
        process: Process | None = None
        for action, name, block in STEPS:
            is_over = action in {"run", "serve"} or "shutdown" in block
            if is_over and process is not None and process.code is None:
                process.stop("Ctrl+C")
                process.wait()
            if action == "run":
                subprocess.run(
                    ["bash", "-e", "-c", activate + block],
                    cwd=folder,
                    env={**os.environ, **environment},
                    timeout=300,
                    check=True,
                )
                folder, activate = tmp_path / "mysite", ". .venv/bin/activate\n"
            elif action == "write":
                (folder / name).write_text(block)
            elif action == "append":
                with (folder / name).open("a") as file:
                    file.write(block)
            elif action == "serve":
                port = "{port}" if "manage.py" in block else "--port {port}"
                command = ["bash", "-c", f"{activate}exec {block.strip()} {port}"]
                process = running.enter_context(start(command, cwd=folder, environment=online))
                process.wait_until_serving()
                assert process.get("/forecast").content == b"sunny"
            else:
                assert action == "shown"
                assert process is not None
                for line in block.splitlines():
                    words = re.sub(r"\d+ ms", r"\\d+ ms", line)
                    assert re.search(words, process.output()), process.report()


def test_the_files_are_those_of_the_quickstart() -> None:
    """Which the README shows, too."""
    written = {name: block for action, name, block in STEPS if action == "write"}
    for name in ("mysite/asgi.py", "weather/lifespan.py", "weather/views.py"):
        assert written[name] == (ROOT / "examples" / "quickstart" / name).read_text(), name
