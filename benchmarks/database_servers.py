"""The servers of the benchmark with a database, and their figures while wrk asks them."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.request import urlopen

import psutil
import psycopg

from benchmarks.throughput import ROWS
from testkit.client import hold_port
from testkit.services import PostgreSQL
from tools import test_versions

__all__ = ("CONTROL", "PATHS", "SERVERS", "STOCK", "VARIANTS", "WSGI", "Figures", "measure")

PATHS = {"hello": "no query", "query": "one query", "aquery": "one query, async view"}
SERVERS = {row.server.partition(" and ")[0]: row for row in ROWS}
GTHREAD = (
    *("gunicorn", "{application}", "--worker-class", "gthread", "--threads", "16"),
    *("--bind", "127.0.0.1:{port}", "--no-control-socket"),
)


class Variant(NamedTuple):
    """A way to serve the project: a column of the page."""

    name: str
    environment: dict[str, str]


VARIANTS = (
    Variant("stock Django", {"KIND": "stock"}),
    Variant("control", {"KIND": "stock"}),
    Variant("stock Django, pool", {"KIND": "stock", "POOL": "1"}),
    Variant("request threads, `CONN_MAX_AGE`", {"THREADS": "16", "AGE": "600"}),
    Variant("request threads, pool", {"THREADS": "16", "POOL": "1"}),
    Variant("WSGI, `CONN_MAX_AGE`", {"KIND": "wsgi", "AGE": "600"}),
)
STOCK, CONTROL, *_, WSGI = VARIANTS


class Figures(NamedTuple):
    """The figures of one variant and one path in one round.

    Attributes:
        rate: requests per second.
        server: milliseconds of processor time of the server for a request.
        database: the same of PostgreSQL.
        connections: opened for 1,000 requests.
    """

    rate: float
    server: float
    database: float
    connections: float


def measure(
    server: str, variant: Variant, database: PostgreSQL, seconds: int, clients: int
) -> dict[str, Figures]:
    """Return the figures of each path, of a server that is started for them.

    Only under uvicorn there are those of the async view.
    """
    paths = [path for path in PATHS if path != "aquery" or server == "uvicorn"]
    lines = (database.folder / "data" / "postmaster.pid").read_text().splitlines()
    postgres = int(lines[0])
    figures: dict[str, Figures] = {}
    with _serving(server, variant, str(database.folder)) as (pid, port):

        def used() -> tuple[float, float, float]:
            opened = _connections(database)
            return _processor_time(pid), _processor_time(postgres, dead=True), opened

        _ask(port, "query", 1, clients)
        before = used()
        for path in paths:
            requests, rate = _ask(port, path, seconds, clients)
            after = used()
            spent = [
                1000 * (now - then) / requests for now, then in zip(after, before, strict=True)
            ]
            figures[path] = Figures(rate, *spent)
            before = after
    return figures


def _ask(port: int, path: str, seconds: int, clients: int) -> tuple[int, float]:
    """Return how many requests were answered, and how many per second."""
    wrk = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", f"http://127.0.0.1:{port}/{path}"]
    said = subprocess.run(wrk, stdout=subprocess.PIPE, text=True, check=True).stdout
    requests = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if requests is None or rate is None or "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"{path}: {said}")
    return int(requests[1]), float(rate[1])


def _processor_time(pid: int, *, dead: bool = False) -> float:
    """Return the seconds of a process and its children, or also of the *dead* ones."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    seconds = own.user + own.system
    if dead:
        seconds += own.children_user + own.children_system
    for child in process.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
    return float(seconds)


def _connections(database: PostgreSQL) -> float:
    """Return how many connections PostgreSQL has opened, which it counts late."""
    threading.Event().wait(0.7)
    query = "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'"
    with psycopg.connect(database.url) as admin:
        row = admin.execute(query).fetchone()
    return float(row[0]) if row else 0.0


@contextmanager
def _serving(server: str, variant: Variant, folder: str) -> Generator[tuple[int, int]]:
    """Run the project, and yield the process and the port of its server."""
    with hold_port() as holder:
        port = holder.getsockname()[1]
    kind = variant.environment.get("KIND", "application")
    row = SERVERS[server]
    command = {"stock": row.stock, "wsgi": GTHREAD, "application": row.adapter}[kind]
    place = f"benchmarks.database_project:{kind}"
    process = subprocess.Popen(
        [sys.executable, "-m", *(word.format(application=place, port=port) for word in command)],
        env=os.environ | variant.environment | {"DATABASE_FOLDER": folder},
        cwd=test_versions.ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/hello", timeout=5).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                threading.Event().wait(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()
