"""The page Start, done by the letter: in an empty folder, one block after the other."""

from __future__ import annotations

import os
import re
import shutil
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
FINISHED, *SETUPS = (ROOT / "docs" / "start.md").read_text(encoding="utf-8").split("\n### ")
"""The page up to its first setup, and each setup, which begins with its name."""
BLOCK = re.compile(r"<!-- (\w+)((?: \S+)*) -->\n```\w*\n(.*?)```", re.DOTALL)
ANSWER = "sunny"


class Proxy(BaseHTTPRequestHandler):
    """The internet of the test: it answers every request for any host."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(ANSWER.encode())


@pytest.fixture(scope="module")
def internet() -> Iterator[str]:
    """The address of a proxy that answers for every host."""
    with socketserver.TCPServer(("127.0.0.1", 0), Proxy) as proxy:
        Thread(target=proxy.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The variables by which pip finds our wheels, and a shell this Python."""
    folder = tmp_path_factory.mktemp("environment")
    for package in ("core", "uvicorn"):
        command = [pins.find_uv(), "build", "--quiet", "--wheel", "--out-dir", str(folder)]
        subprocess.run([*command, str(ROOT / "packages" / package)], timeout=120, check=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins.read_pins()))
    python = folder / "bin" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    return {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONSTRAINT": str(constraints),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


class Reader:
    """Does what the page says, one block after the other.

    Attributes:
        folder: the one that the blocks are for.
        activate: the line that a shell begins with.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], internet: str) -> None:
        self.folder = folder
        self.activate = ""
        self._environment = environment
        self._online = {**environment, "http_proxy": internet, "no_proxy": "", "NO_PROXY": ""}
        self._servers = ExitStack()
        self._server: Process | None = None
        self._output = ""

    def keep(self, folder: Path) -> None:
        """Copy the project, but not its environment."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(".venv"))

    def restore(self, folder: Path) -> None:
        """Put the copy into the place of the project, whose environment stays."""
        for path in self.folder.iterdir():
            if path.is_file():
                path.unlink()
            elif path.name != ".venv":
                shutil.rmtree(path)
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)

    def follow(self, text: str) -> None:
        """Do all blocks of the text, and stop the server that is left."""
        with self._servers:
            for action, names, block in BLOCK.findall(text):
                getattr(self, action)(block, *names.split())
            self._stop()

    def run(self, block: str) -> None:
        """Run the commands in a shell."""
        self._stop()
        done = subprocess.run(
            ["bash", "-e", "-c", self.activate + block],
            cwd=self.folder,
            env={**os.environ, **self._environment},
            stdout=subprocess.PIPE,
            text=True,
            timeout=300,
            check=True,
        )
        self._output = done.stdout

    def write(self, block: str, name: str) -> None:
        """Write the file."""
        (self.folder / name).write_text(block)

    def append(self, block: str, name: str) -> None:
        """Write to the end of the file."""
        with (self.folder / name).open("a") as file:
            file.write(block)

    def change(self, block: str, name: str) -> None:
        """Change the lines of the file that the block begins with a minus or a plus sign."""
        lines = [(line[:1], line[1:]) for line in block.splitlines(keepends=True)]
        before = "".join(line or "\n" for sign, line in lines if sign != "+")
        after = "".join(line or "\n" for sign, line in lines if sign != "-")
        text = (self.folder / name).read_text()
        assert text.count(before) == 1, f"{name} does not have these lines once:\n{before}"
        (self.folder / name).write_text(text.replace(before, after))

    def serve(self, block: str, *paths: str) -> None:
        """Start the server at a free port, and get each path, or `/forecast` if none is named."""
        self._stop()
        port = "{port}" if "manage.py" in block else "--port {port}"
        command = ["bash", "-c", f"{self.activate}exec {block.strip()} {port}"]
        self._server = self._servers.enter_context(
            start(command, cwd=self.folder, environment=self._online)
        )
        self._server.wait_until_serving()
        for path in paths or ("/forecast",):
            assert self._server.get(path).content == ANSWER.encode(), path

    def shown(self, block: str) -> None:
        """Compare the output, in which only the numbers may differ."""
        if self._server and "shutdown" in block:
            self._stop()
        output = self._server.output() if self._server else self._output
        for line in block.splitlines():
            words = (r"[\d.]+" if word[0].isdigit() else re.escape(word) for word in line.split())
            assert re.search(r"\s+".join(words), output), f"{line}\n{output}"

    def talk(self, block: str) -> None:
        """Type a line into the command, and wait for the answer."""
        assert self._server
        command = block.replace("8000", str(self._server.port)).split()
        with start(command, cwd=self.folder, stdin=subprocess.PIPE) as terminal:
            terminal.type("tomorrow?\n")
            terminal.wait_for_output(ANSWER)

    def _stop(self) -> None:
        if self._server and self._server.code is None:
            self._server.stop("Ctrl+C")
            self._server.wait()
            self._output = self._server.output()
            self._server = None


@pytest.fixture(scope="module")
def reader(
    tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str], internet: str
) -> Reader:
    """A reader who has made the project, and kept copies of it: just made, and finished."""
    if sys.platform == "win32":
        pytest.skip("the blocks are for a POSIX shell")
    if not find_spec("ensurepip"):
        pytest.skip("this Python cannot make environments")
    folder = tmp_path_factory.mktemp("start")
    reader = Reader(folder, environment, internet)
    make, _, use = FINISHED.partition("\n## Declare")
    reader.follow(make)
    reader.folder, reader.activate = folder / "mysite", ". .venv/bin/activate\n"
    reader.keep(folder / "made")
    reader.follow(use)
    reader.keep(folder / "finished")
    return reader


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.partition("\n")[0])
def test_the_blocks_work_in_their_order(reader: Reader, setup: str) -> None:
    """From the first one to the end of each setup, whose folder is made ready again for it.

    An address stands for the network, and the port is a free one. Nothing else is changed.
    """
    copy = "made" if setup.startswith("An existing project") else "finished"
    reader.restore(reader.folder.parent / copy)
    reader.follow(setup)


def test_the_list_of_setups_is_complete() -> None:
    """Each has a link at the top, and at least one block that serves a request."""
    assert re.findall(r"^- \[(.*?)\]\(#", FINISHED, re.MULTILINE) == [
        setup.partition("\n")[0] for setup in SETUPS
    ]
    assert all("<!-- serve /" in setup for setup in SETUPS)


def test_the_files_are_those_of_the_quickstart() -> None:
    """Which the README shows, too."""
    written = {names: block for action, names, block in BLOCK.findall(FINISHED)}
    for name in ("mysite/asgi.py", "weather/lifespan.py", "weather/views.py"):
        assert written[f" {name}"] == (ROOT / "examples" / "quickstart" / name).read_text(), name
