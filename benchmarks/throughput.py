"""Measures the throughput of each server with its adapter, beside that of the server alone.

Prints the ratios, writes docs/throughput.md, and ends with 1 if one is below the budget. Takes a
few minutes. Needs wrk (Debian: apt-get install wrk).
"""

import argparse
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from benchmarks.__main__ import describe_machine, say
from tools import test_versions

__all__ = ("ROWS", "Row", "measure")

PAGE = test_versions.ROOT / "docs" / "throughput.md"
BUDGET = 0.97
CONNECTIONS = 16
DEADLINE = 30.0
GUNICORN = (
    *("gunicorn", "benchmarks.applications:{application}"),
    *("--bind", "127.0.0.1:{port}", "--no-control-socket"),
)
UVICORN = (
    *("--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level", "error"),
    "benchmarks.applications:{application}",
)
DAPHNE = (
    *("--bind", "127.0.0.1", "--port", "{port}", "--verbosity", "0"),
    "benchmarks.applications:{application}",
)
HYPERCORN = (
    *("--bind", "127.0.0.1:{port}", "--worker-class", "uvloop", "--log-level", "error"),
    "benchmarks.applications:{application}",
)
GRANIAN = (
    *("--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "--no-log"),
    "benchmarks.applications:{application}",
)


class Row(NamedTuple):
    """A server, and the modules with arguments that run it alone and with its adapter.

    ``{application}`` and ``{port}`` are filled in.
    """

    server: str
    stock: tuple[str, ...]
    adapter: tuple[str, ...]


ROWS = (
    Row(
        "uvicorn and uvicorn-lifespan",
        ("uvicorn", *UVICORN),
        ("django_asgi_lifespan_uvicorn", *UVICORN),
    ),
    Row(
        "gunicorn, UvicornWorker and LifespanWorker",
        (*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker"),
        (*GUNICORN, "--worker-class", "django_asgi_lifespan_gunicorn.LifespanWorker"),
    ),
    Row(
        "gunicorn, asgi and NativeLifespanWorker",
        (*GUNICORN, "--worker-class", "asgi"),
        (*GUNICORN, "--worker-class", "django_asgi_lifespan_gunicorn.NativeLifespanWorker"),
    ),
    Row(
        "daphne and daphne-lifespan",
        ("daphne", *DAPHNE),
        ("django_asgi_lifespan_daphne", *DAPHNE),
    ),
    Row(
        "hypercorn and hypercorn-lifespan, uvloop",
        ("hypercorn", *HYPERCORN),
        ("django_asgi_lifespan_hypercorn", *HYPERCORN),
    ),
    Row(
        "granian and granian-lifespan",
        ("granian", *GRANIAN),
        ("django_asgi_lifespan_granian", *GRANIAN),
    ),
)


class Figures(NamedTuple):
    """Medians over the rounds: requests per second of the server alone, and ratios to them.

    That of the adapter is to the mean of both servers alone, which halves their noise.

    The seconds are those in which the server's processes had a processor, so that what else runs
    on the machine counts for little.
    """

    stock: float
    adapter: float
    control: float

    @property
    def kept(self) -> bool:
        """Whether the budget is kept."""
        return self.adapter >= BUDGET


def measure(row: Row, application: str, *, launches: int, rounds: int) -> Figures:
    """Return the figures of *row*: medians over the *rounds* of all *launches*."""
    turns = [turn for _ in range(launches) for turn in _launch(row, application, rounds)]
    return Figures(
        statistics.median(stock for stock, _, _ in turns),
        statistics.median(2 * adapter / (stock + control) for stock, adapter, control in turns),
        statistics.median(control / stock for stock, _, control in turns),
    )


def _launch(row: Row, application: str, rounds: int) -> list[list[float]]:
    """Return the rates of new servers, which take turns in an order that turns too."""
    commands = [row.stock, row.adapter, row.stock]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_serving(command, application)) for command in commands]
        for server in servers:
            server.load()
        turns: list[list[float]] = []
        for turn in range(rounds):
            rates = [0.0] * len(servers)
            for place in range(len(servers)):
                index = (place + turn) % len(servers)
                rates[index] = servers[index].load()
            turns.append(rates)
    return turns


class _Server(NamedTuple):
    """A running server; its process id is that of its process group."""

    pid: int
    port: int

    def load(self) -> float:
        """Return the requests per second of its processor time, while wrk asks for a second."""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s"]
        command.append(f"http://127.0.0.1:{self.port}/")
        before = self.processor_time()
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said or "Socket errors" in said:
            sys.exit(f"{' '.join(command)}:\n{said}")
        [requests] = re.findall(r"^ +([0-9]+) requests in ", said, re.MULTILINE)
        return int(requests) / (self.processor_time() - before)

    def processor_time(self) -> float:
        """Return the seconds that its processes have had a processor, as Linux counts them."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.pid:  # proc(5): 5 is the group, 14 and 15 are the ticks
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _serving(command: tuple[str, ...], application: str) -> Generator[_Server]:
    """Run a server on a port of its own, and yield it when it answers."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
    words = [word.format(application=application, port=port) for word in command]
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=test_versions.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + DEADLINE
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"This server does not serve: python -m {' '.join(words)}")
            threading.Event().wait(0.05)
        yield _Server(process.pid, port)
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return client.recv(16).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def render(machine: str, results: dict[tuple[str, str], Figures]) -> str:
    """Return the page."""
    lines = [
        "<!-- Written by `just bench-servers`. Do not edit. -->",
        "",
        "# Throughput",
        "",
        "Requests that a server with its adapter answers in a second of processor time, over those",
        f"of the server alone. The budget is {BUDGET}. The control is the server alone, a second",
        "time: what it shows is noise.",
        "",
        "| Server | Application | Alone | With the adapter | Control | Kept |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (server, application), figures in results.items():
        lines.append(
            f"| {server} | {application} | {figures.stock:,.0f}/s | {figures.adapter:.3f} x "
            f"| {figures.control:.3f} x | {'yes' if figures.kept else '**no**'} |"
        )
    lines += [
        "",
        f"Machine: {machine}. One worker; wrk with one thread and {CONNECTIONS} connections.",
        "",
        "The three servers of a line run at the same time and are asked one after the other, in",
        "an order that turns by one each round. Ratios are taken within a round, that of the",
        "adapter to the mean of both servers alone; each figure is the median of the rounds. After",
        "a few rounds all three are started anew, because one process can be some percent faster",
        "than another of the same code. `bare` is an application that sends two messages,",
        "`project` is a trivial view of Django.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3, help="of a second for each server")
    parser.add_argument("--server", default="", help="measure those with this name, write nothing")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk was not found. Install it (Debian: apt-get install wrk).")

    results: dict[tuple[str, str], Figures] = {}
    for row in ROWS:
        if options.server not in row.server:
            continue
        for application in ("bare", "project"):
            figures = measure(row, application, launches=options.launches, rounds=options.rounds)
            results[row.server, application] = figures
            say(
                f"{row.server}, {application}: {figures.stock:,.0f}/s alone, "
                f"{figures.adapter:.3f} x with the adapter, control {figures.control:.3f} x"
            )
    if not options.server:
        PAGE.write_text(render(describe_machine(), results))
    sys.exit(not all(figures.kept for figures in results.values()))


if __name__ == "__main__":
    main()
