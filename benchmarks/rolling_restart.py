"""Counts the requests that are lost while two servers behind HAProxy are restarted in turn.

Prints a table for docs/operations.md, and ends with 1 if a request is lost with a drain delay.
Takes a minute a server. Needs haproxy (Debian: apt-get install haproxy) and Linux.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from benchmarks.__main__ import say
from tools import test_versions

__all__ = ("COMMANDS", "measure")

REQUESTS = 5000
CONNECTIONS = 20
RATE = 150
DELAY = 2.0
DEADLINE = 60.0

HOST = "127.0.0.1"
APPLICATION = "benchmarks.rolling_project:application"
UVICORN = ("--host", HOST, "--port", "{port}", APPLICATION)
GUNICORN = ("gunicorn", "--bind", HOST + ":{port}", "--no-control-socket", APPLICATION)
DAPHNE = ("--bind", HOST, "--port", "{port}", APPLICATION)
GRANIAN = ("--interface", "asgi", "--host", HOST, "--port", "{port}", APPLICATION)
OURS = "django_asgi_lifespan_"

COMMANDS = {
    "uvicorn": ("uvicorn", *UVICORN),
    "uvicorn-lifespan": (f"{OURS}uvicorn", *UVICORN),
    "gunicorn, LifespanWorker": (*GUNICORN, "-k", f"{OURS}gunicorn.LifespanWorker"),
    "gunicorn, NativeLifespanWorker": (*GUNICORN, "-k", f"{OURS}gunicorn.NativeLifespanWorker"),
    "daphne": ("daphne", *DAPHNE),
    "daphne-lifespan": (f"{OURS}daphne", *DAPHNE),
    "hypercorn-lifespan": (f"{OURS}hypercorn", "--bind", HOST + ":{port}", APPLICATION),
    "granian": ("granian", *GRANIAN),
    "granian-lifespan": (f"{OURS}granian", *GRANIAN),
}
"""The modules with arguments that run each server."""

PROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 2s
    retries 0
frontend clients
    bind {host}:{port}
    default_backend workers
backend workers
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 200ms fall 1 rise 1
    server a {host}:{a}
    server b {host}:{b}
"""
"""It asks each server five times a second, and sends no request twice."""


class Traffic:
    """Requests at a steady rate, over connections that stay open.

    Attributes:
        lost: the requests without an answer, or with another one than 200.
    """

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._port = port

    async def run(self) -> None:
        """Send all requests."""
        await asyncio.gather(*[self._send(number) for number in range(CONNECTIONS)])

    async def _send(self, number: int) -> None:
        interval = CONNECTIONS / RATE
        loop = asyncio.get_running_loop()
        due = loop.time() + interval * number / CONNECTIONS
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for _ in range(REQUESTS // CONNECTIONS):
            await asyncio.sleep(due - loop.time())
            due += interval
            try:
                if connection is None:
                    connection = await asyncio.open_connection(HOST, self._port)
                await asyncio.wait_for(_ask(*connection), DEADLINE)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError):
                self.lost += 1
                if connection is not None:
                    connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Return when the answer is there.

    Raises:
        OSError, EOFError: there is none.
        ValueError: it is not the expected one.
    """
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head)
    if b"transfer-encoding: chunked" in head.lower():
        await reader.readuntil(b"0\r\n\r\n")
    else:
        await reader.readexactly(2)


class Server:
    """A server at a port of its own, which can be restarted there."""

    def __init__(self, command: tuple[str, ...], port: int, delay: float) -> None:
        self._command = [sys.executable, "-m", *(word.format(port=port) for word in command)]
        self._port = port
        self._environment = {**os.environ, "DRAIN_DELAY": str(delay)}
        self.start()

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            self._command,
            cwd=test_versions.ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def ready(self) -> None:
        """Return when it is ready, and the proxy may know."""
        deadline = time.monotonic() + DEADLINE
        while not await asyncio.to_thread(self._is_ready):
            if self._process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"This server does not serve: {self._command}")
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection((HOST, self._port), timeout=DEADLINE) as client:
                client.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                return client.recv(16).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    async def restart(self) -> None:
        """Stop it by SIGTERM, and start it anew when it has ended."""
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, DEADLINE)
        self.start()
        await self.ready()

    def end(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(DEADLINE)


@contextlib.contextmanager
def _ports(number: int) -> Generator[list[int]]:
    """Yield free ports, which nobody else is given although a server may listen there."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((HOST, 0))
        yield [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def _proxy(port: int, a: int, b: int) -> Generator[None]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "haproxy.cfg"
        file.write_text(PROXY.format(host=HOST, port=port, a=a, b=b))
        process = subprocess.Popen(
            ["haproxy", "-f", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            process.kill()
            process.wait(DEADLINE)


async def measure(command: tuple[str, ...], delay: float) -> int:
    """Return the number of requests that are lost while both servers are restarted."""
    with _ports(3) as [port, *ports], contextlib.ExitStack() as stack:
        servers = [Server(command, each, delay) for each in ports]
        for server in servers:
            stack.callback(server.end)
            await server.ready()
        stack.enter_context(_proxy(port, *ports))
        await asyncio.sleep(1)
        traffic = Traffic(port)
        running = asyncio.ensure_future(traffic.run())
        for server in servers:
            await asyncio.sleep(1)
            await server.restart()
        if running.done():
            sys.exit("The requests ended before both servers were restarted. Lower the rate.")
        await running
        return traffic.lost


def main(arguments: list[str] | None = None) -> int:
    """Measure the servers that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers", nargs="*", help="a part of a server's name")
    wanted = parser.parse_args(arguments).servers
    if shutil.which("haproxy") is None:
        sys.exit("haproxy is not installed. On Debian: apt-get install haproxy")
    say(f"| server | lost of {REQUESTS:,}, no delay | lost, `DRAIN_DELAY` {DELAY:g} |")
    say("|---|---|---|")
    has_lost = False
    for name, command in COMMANDS.items():
        if not wanted or any(part in name for part in wanted):
            without, with_delay = (asyncio.run(measure(command, delay)) for delay in (0.0, DELAY))
            has_lost |= with_delay > 0
            say(f"| {name} | {without} | {with_delay} |")
    return int(has_lost)


if __name__ == "__main__":
    sys.exit(main())
