"""Servers that projects talk to. A test starts its own, with nothing in it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typing_extensions import Self

from testkit.processes import Process, start

__all__ = ("PostgreSQL", "missing", "redis", "short_folder")


def missing(program: str) -> NoReturn:
    """Skip the test, or fail it where the environment says that every server must be there."""
    reason = f"{program} is not installed"
    if os.environ.get("REQUIRE_SERVICES"):
        pytest.fail(f"{reason}, and REQUIRE_SERVICES is set")
    pytest.skip(reason)


@contextmanager
def short_folder() -> Generator[Path]:
    """Yield an empty folder whose path is short enough for the address of a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="lifespan-") as name:
        yield Path(name)


@contextmanager
def redis(folder: Path) -> Generator[str]:
    """Yield the URL of a Redis server, which keeps nothing and listens in *folder*."""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server")
    socket = folder / "redis"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with start(command, cwd=folder) as server:
        server.wait_for_output("eady to accept connections")
        yield f"unix://{socket}"


class PostgreSQL:
    """A server with a cluster that is made for it: a context manager.

    Args:
        folder: an empty one with a short path, which gets the cluster and the Unix socket.

    Attributes:
        url: where it is.
    """

    _server: Process

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"postgresql://tester@/postgres?host={folder}"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        found = shutil.which("initdb") or (installed and installed[-1])
        if sys.platform == "win32" or not found:  # there it has no Unix socket by default
            missing("PostgreSQL")
        self._programs = Path(str(found)).resolve().parent
        self._options: dict[str, Any] = {"cwd": self.folder}
        if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
            import pwd  # which Windows lacks

            nobody = pwd.getpwnam("nobody")
            user, group = nobody.pw_uid, nobody.pw_gid
            self._options |= {"user": user, "group": group, "extra_groups": []}
            os.chown(self.folder, user, group)
        command = [str(self._programs / "initdb"), "--pgdata=data", "--username=tester"]
        command += ["--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]
        with start(command, **self._options) as made:
            made.wait_for_output("^Success")
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._stack:
            self._stop()

    def restart(self) -> None:
        """Stop the server, which ends every connection, and start it again."""
        self._stop()
        self._stack.close()
        self._start()

    def _start(self) -> None:
        command = [str(self._programs / "postgres"), "-D", "data", "-k", str(self.folder)]
        command += ["-c", "listen_addresses=", "-c", "fsync=off"]
        self._server = self._stack.enter_context(start(command, **self._options))
        self._server.wait_for_output("ready to accept connections")

    def _stop(self) -> None:
        self._server.stop("SIGINT")  # fast, and leaves no shared memory behind
        self._server.wait()
