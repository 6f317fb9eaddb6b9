"""Measures the throughput of each server with its adapter, beside that of the server alone.

Prints the ratios, writes docs/throughput.md, and ends with 1 if one is below the budget. Takes a
quarter of an hour. Needs wrk (Debian: apt-get install wrk), Linux and two processors.
"""

import argparse
import contextlib
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from benchmarks.__main__ import describe_machine, say
from tools import test_versions

__all__ = ("ROWS", "Row", "measure")

PAGE = test_versions.ROOT / "docs" / "throughput.md"
BUDGET = 0.97
CONNECTIONS = 16
DEADLINE = 30.0
PACKAGES = (
    *("Django", "uvicorn", "gunicorn", "uvicorn-worker", "daphne", "hypercorn", "granian"),
    *("uvloop", "httptools"),
)
"""Those whose versions the page tells."""

GUNICORN = (
    *("gunicorn", "{application}"),
    *("--bind", "127.0.0.1:{port}", "--no-control-socket"),
)
UVICORN = (
    *("--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level", "error"),
    "{application}",
)
DAPHNE = (
    *("--bind", "127.0.0.1", "--port", "{port}", "--verbosity", "0"),
    "{application}",
)
HYPERCORN = (
    *("--bind", "127.0.0.1:{port}", "--worker-class", "uvloop", "--log-level", "error"),
    "{application}",
)
GRANIAN = (
    *("--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "--no-log"),
    "{application}",
)


class Row(NamedTuple):
    """A server, and the modules with arguments that run it alone and with its adapter.

    ``{application}`` and ``{port}`` are filled in. Alone it serves an application of ``alone.py``,
    with its adapter the one of the same name in ``adapted.py``.
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
    """Medians over the launches: requests per second of the server alone, and ratios to them.

    That of the adapter is to the mean of both servers alone, which halves their noise.

    The seconds are those in which the server's processes had a processor, so that other
    programs on the machine count for little.
    """

    stock: float
    adapter: float
    control: float

    @property
    def kept(self) -> bool:
        """Whether the budget is kept."""
        return self.adapter >= BUDGET


Results = dict[tuple[str, str], Figures]


class _Server(NamedTuple):
    """A running server. Its process id is that of its process group."""

    pid: int
    port: int

    def ask(self, seconds: int) -> subprocess.Popen[str]:
        """Return a running wrk."""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        command.append(f"http://127.0.0.1:{self.port}/")
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def processor_time(self) -> float:
        """Return the seconds that its processes have had a processor, as Linux counts them."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.pid:  # proc(5): 5 is the group, 14 and 15 are the ticks
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def measure(row: Row, application: str, *, launches: int, seconds: int) -> Figures:
    """Return the figures of *row*, whose servers are asked for *seconds* after each launch."""
    rates = [_launch(row, application, seconds, seed) for seed in range(launches)]
    return Figures(
        statistics.median(stock for stock, _, _ in rates),
        statistics.median(2 * adapter / (stock + control) for stock, adapter, control in rates),
        statistics.median(control / stock for stock, _, control in rates),
    )


def _launch(row: Row, application: str, seconds: int, seed: int) -> list[float]:
    """Return the rates of new servers, which are asked at the same time.

    They share one processor, so that a faster or slower processor is so for all of them,
    and have the same *seed* of hashes, so that dictionaries are as fast in one as in the others.
    Each is started first in its turn, because that matters a little, too.
    """
    alone = (row.stock, f"benchmarks.alone:{application}")
    adapted = (row.adapter, f"benchmarks.adapted:{application}")
    commands = [alone, adapted, alone]
    turn = seed % len(commands)
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(_serving(command, served, seed))
            for command, served in (*commands[turn:], *commands[:turn])
        ]
        _load(servers, seconds=1)
        rates = _load(servers, seconds=seconds)
        return rates[-turn:] + rates[:-turn] if turn else rates


def _load(servers: Sequence[_Server], *, seconds: int) -> list[float]:
    """Return the requests of each per second of its processor time, while wrk asks them all."""
    before = [server.processor_time() for server in servers]
    with _on_processor(-1):
        asking = [server.ask(seconds) for server in servers]
    answered = [_answered(wrk) for wrk in asking]
    after = [server.processor_time() for server in servers]
    return [
        requests / (end - start)
        for requests, start, end in zip(answered, before, after, strict=True)
    ]


def _answered(wrk: subprocess.Popen[str]) -> int:
    """Return how many requests were answered, as *wrk* says at its end."""
    said, _ = wrk.communicate()
    if wrk.returncode or "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"{wrk.args!r}:\n{said}")
    [requests] = re.findall(r"^ +([0-9]+) requests in ", said, re.MULTILINE)
    return int(requests)


@contextlib.contextmanager
def _on_processor(index: int) -> Generator[None]:
    """Let the processes that are started inside run on one processor alone."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(usable)[index]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


@contextlib.contextmanager
def _serving(command: tuple[str, ...], application: str, seed: int) -> Generator[_Server]:
    """Run a server on a port of its own, and yield it when it answers."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
    words = [word.format(application=application, port=port) for word in command]
    with _on_processor(0):
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=test_versions.ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
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


def render(machine: str, launches: int, results: Results) -> str:
    """Return the page."""
    return _PAGE.format(
        budget=BUDGET,
        connections=CONNECTIONS,
        launches=launches,
        machine=machine,
        table="\n".join(_rows(results).values()),
        versions=describe_versions(),
    )


def replace_rows(page: str, results: Results) -> str:
    """Return *page* with these results in their rows, measured with the same packages."""
    if describe_versions() not in page:
        sys.exit("The page was measured with other packages: measure all servers anew.")
    rows = _rows(results)
    lines = [
        next((row for begin, row in rows.items() if line.startswith(begin)), line)
        for line in page.splitlines()
    ]
    return "\n".join([*lines, ""])


def _rows(results: Results) -> dict[str, str]:
    """Return the rows of the table, by their first two cells."""
    return {
        (begin := f"| {server} | {application} |"): (
            f"{begin} {figures.stock:,.0f}/s | {figures.adapter:.3f} x "
            f"| {figures.control:.3f} x | {'yes' if figures.kept else '**no**'} |"
        )
        for (server, application), figures in results.items()
    }


_PAGE = """\
<!-- Written by `just bench-servers`. Do not edit. -->

# Throughput

Requests that a server with its adapter answers in a second of processor time, over those of the
server alone, without this package. The budget is {budget}. The control is the server alone, a
second time: what it shows is noise.

| Server | Application | Alone | With the adapter | Control | Kept |
| --- | --- | --- | --- | --- | --- |
{table}

Machine: {machine}. One worker; wrk with one thread and {connections} connections.
{versions}.

`bare` is an application that sends two messages; with the adapter, `LifespanApplication` stands
around it. `project` is a trivial view of Django, behind Django's own handler or behind the one of
this package. So a ratio tells what all of the package costs.

The three servers of a line run at the same time on one processor, and are asked at the same time
from another, so that whatever slows one of them down slows down all; they are started in an order
that turns by one each time. Each figure is the median of {launches} launches, because one process
can be some percent faster than another of the same code. The ratio of the adapter is that to the
mean of both servers alone.
"""


def describe_versions(*others: str) -> str:
    """Return the versions of Python, the servers, and *others*, as far as they are installed."""
    versions = [f"Python {platform.python_version()}"]
    for package in (*PACKAGES, *others):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    return ", ".join(versions)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=3, help="of requests, after each launch")
    parser.add_argument("--server", default="", help="measure those with this name alone")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk was not found. Install it (Debian: apt-get install wrk).")

    results: Results = {}
    for row in ROWS:
        if options.server not in row.server:
            continue
        for application in ("bare", "project"):
            figures = measure(row, application, launches=options.launches, seconds=options.seconds)
            results[row.server, application] = figures
            say(
                f"{row.server}, {application}: {figures.stock:,.0f}/s alone, "
                f"{figures.adapter:.3f} x with the adapter, control {figures.control:.3f} x"
            )
    if options.server:
        PAGE.write_text(replace_rows(PAGE.read_text(), results))
    else:
        PAGE.write_text(render(describe_machine(), options.launches, results))
    sys.exit(not all(figures.kept for figures in results.values()))


if __name__ == "__main__":
    main()
