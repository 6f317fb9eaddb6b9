"""Measures requests that query PostgreSQL: stock Django, its pool, request threads, and WSGI.

Prints the figures, writes docs/request-threads-figures.md, and ends with 1 if a budget is not kept.
Takes some minutes. Needs wrk, PostgreSQL and Linux.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from importlib import metadata
from typing import NamedTuple
from urllib.request import urlopen

import psutil
import psycopg

from benchmarks.__main__ import describe_machine, say
from testkit.client import hold_port
from testkit.services import PostgreSQL, short_folder
from tools import test_versions

PAGE = test_versions.ROOT / "docs" / "request-threads-figures.md"
PATHS = {"hello": "no query", "query": "one query", "aquery": "one query, async view"}
UVICORN = ("uvicorn", "--log-level", "error", "--no-access-log", "--host", "127.0.0.1", "--port")
GTHREAD = ("gunicorn", "--worker-class", "gthread", "--threads", "16", "--no-control-socket")


class Variant(NamedTuple):
    """A way to serve the project: a row of the page."""

    name: str
    environment: dict[str, str]


VARIANTS = (
    Variant("stock Django", {"KIND": "stock"}),
    Variant("stock Django again: the control", {"KIND": "stock"}),
    Variant("stock Django, pool", {"KIND": "stock", "POOL": "1"}),
    Variant("request threads, `CONN_MAX_AGE`", {"THREADS": "16", "AGE": "600"}),
    Variant("request threads, pool", {"THREADS": "16", "POOL": "1"}),
    Variant("WSGI, gunicorn's gthread, `CONN_MAX_AGE`", {"KIND": "wsgi", "AGE": "600"}),
)
STOCK, CONTROL, THREADS = VARIANTS[0], VARIANTS[1], VARIANTS[3]


class Figures(NamedTuple):
    """The figures of one variant and one path, each a median of the rounds.

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


def processor_time(pid: int, *, dead: bool = False) -> float:
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


@contextmanager
def serving(variant: Variant, folder: str) -> Generator[tuple[int, int]]:
    """Run the project, and yield the process and the port of its server."""
    with hold_port() as holder:
        port = holder.getsockname()[1]
    kind = variant.environment.get("KIND", "ours")
    place = f"benchmarks.database_project:{'application' if kind == 'ours' else kind}"
    command = [*UVICORN, str(port), place]
    if kind == "wsgi":
        command = [*GTHREAD, "--log-level", "error", "--bind", f"127.0.0.1:{port}", place]
    environment = os.environ | variant.environment | {"DATABASE_FOLDER": folder}
    server = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, cwd=test_versions.ROOT
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/hello", timeout=5).close()
                break
            except OSError:
                if time.monotonic() > deadline or server.poll() is not None:
                    raise
                threading.Event().wait(0.05)
        yield server.pid, port
    finally:
        server.terminate()
        server.wait()


def measure(
    served: tuple[int, int], path: str, database: PostgreSQL, seconds: int, clients: int
) -> Figures:
    """Return the figures of one round."""
    pid, port = served
    lines = (database.folder / "data" / "postmaster.pid").read_text().splitlines()
    postgres = int(lines[0])
    url = f"http://127.0.0.1:{port}/{path}"
    wrk = ("wrk", "-t1", f"-c{clients}")
    subprocess.run([*wrk, "-d1s", url], stdout=subprocess.DEVNULL, check=True)
    before = (processor_time(pid), processor_time(postgres, dead=True), sessions(database))
    done = subprocess.run(
        [*wrk, f"-d{seconds}s", url], stdout=subprocess.PIPE, text=True, check=True
    )
    after = (processor_time(pid), processor_time(postgres, dead=True), sessions(database))
    found = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None or rate is None or "Non-2xx" in done.stdout:
        sys.exit(f"{path}: {done.stdout}")
    server, postgresql, opened = (late - early for late, early in zip(after, before, strict=True))
    thousands = int(found[1]) / 1000
    return Figures(float(rate[1]), server / thousands, postgresql / thousands, opened / thousands)


def sessions(database: PostgreSQL) -> float:
    """Return how many connections PostgreSQL has opened, which it counts late."""
    threading.Event().wait(0.7)
    query = "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'"
    with psycopg.connect(database.url) as admin:
        row = admin.execute(query).fetchone()
    return float(row[0]) if row else 0.0


def run(rounds: int, seconds: int, clients: int) -> dict[tuple[str, str], Figures]:
    """Return the medians. The variants take turns, in an order that is reversed each round."""
    found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    with short_folder() as folder, PostgreSQL(folder) as database:
        environment = os.environ | {"DATABASE_FOLDER": str(folder)}
        prepare = [sys.executable, "-m", "benchmarks.database_project"]
        subprocess.run(prepare, env=environment, cwd=test_versions.ROOT, check=True)
        for number in range(rounds):
            for variant in VARIANTS[:: -1 if number % 2 else 1]:
                with serving(variant, str(folder)) as served:
                    for path in PATHS:
                        figures = measure(served, path, database, seconds, clients)
                        found[variant.name, path].append(figures)
                        say(f"{variant.name}, {path}: {figures.rate:.0f}/s")
    return {
        key: Figures(*(statistics.median(each) for each in zip(*every, strict=True)))
        for key, every in found.items()
    }


def too_bad(medians: dict[tuple[str, str], Figures]) -> list[str]:
    """Return the budgets that are not kept, in words."""
    troubles: list[str] = []
    for path, least in (("hello", 1.1), ("query", 1.3), ("aquery", 1.3)):
        stock, ours = medians[STOCK.name, path], medians[THREADS.name, path]
        if ours.rate < least * stock.rate:
            troubles.append(f"{PATHS[path]}: {ours.rate / stock.rate:.2f} x, not {least} x")
        if ours.connections > 20:
            troubles.append(f"{PATHS[path]}: {ours.connections:.0f} connections for 1,000")
    return troubles


def render(medians: dict[tuple[str, str], Figures], clients: int, rounds: int, load: float) -> str:
    """Return the page."""
    lines: list[str] = []
    for path, words in PATHS.items():
        stock = medians[STOCK.name, path]
        lines += [f"## {words[0].upper()}{words[1:]}", "", HEAD, "|---|---|---|---|---|"]
        for variant in VARIANTS:
            each = medians[variant.name, path]
            lines.append(
                f"| {variant.name} | {each.rate / stock.rate:.2f} x | {each.server:.2f} ms | "
                f"{each.database:.2f} ms | {each.connections:.0f} |"
            )
        lines.append("")
    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("Django", "asgiref", "psycopg", "psycopg-pool", "uvicorn", "gunicorn")
    )
    rates = [medians[CONTROL.name, path].rate / medians[STOCK.name, path].rate for path in PATHS]
    template = (test_versions.ROOT / "benchmarks" / "database.md").read_text()
    return template.format(
        tables="\n".join(lines).rstrip(),
        machine=describe_machine(),
        versions=versions,
        clients=clients,
        rounds=rounds,
        load=load,
        control=max(max(each, 1 / each) for each in rates),
    )


HEAD = "| | requests per second | server | PostgreSQL | connections for 1,000 requests |"


def main() -> None:
    """Measure, write the page, and compare with the budgets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    medians = run(options.rounds, options.seconds, options.clients)
    load = os.getloadavg()[2]
    PAGE.write_text(render(medians, options.clients, options.rounds, load))
    if troubles := too_bad(medians):
        sys.exit("\n".join(troubles))


if __name__ == "__main__":
    main()
