"""Measures requests that query PostgreSQL: stock Django, its pool, request threads, and WSGI.

Prints the figures, writes docs/request-threads-figures.md, and ends with 1 if a budget is not kept.
Takes about 20 minutes. Needs wrk, PostgreSQL and Linux.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import database_page
from benchmarks.__main__ import describe_machine, say
from benchmarks.database_page import Measured
from benchmarks.database_servers import SERVERS, VARIANTS, WSGI, Figures, measure
from testkit.services import PostgreSQL, short_folder
from tools import test_versions

PAGE = test_versions.ROOT / "docs" / "request-threads-figures.md"
MEASURED = test_versions.ENVIRONMENTS / "database-figures"


def run(server: str, database: PostgreSQL, options: argparse.Namespace) -> Measured:
    """Return the rounds. The variants take turns, in an order that turns by two each round."""
    variants = [each for each in VARIANTS if each is not WSGI or server == "uvicorn"]
    rounds: list[dict[str, dict[str, Figures]]] = []
    for number in range(options.rounds):
        rounds.append({})
        first = 2 * number % len(variants)
        for variant in variants[first:] + variants[:first]:
            figures = measure(server, variant, database, options.seconds, options.clients)
            rounds[-1][variant.name] = figures
            rates = ", ".join(f"{path} {each.rate:.0f}/s" for path, each in figures.items())
            say(f"{server}, {variant.name}: {rates}")
    return Measured(rounds, options.clients, os.getloadavg()[2])


def path_of(server: str) -> Path:
    """Return the file of the figures of *server*, from its last run."""
    return MEASURED / f"{server}.json"


def read(server: str) -> Measured:
    """Return the figures of its last run."""
    rounds, clients, load = json.loads(path_of(server).read_text())
    return Measured(
        [
            {
                variant: {path: Figures(*each) for path, each in paths.items()}
                for variant, paths in each_round.items()
            }
            for each_round in rounds
        ],
        clients,
        load,
    )


def main() -> None:
    """Measure, write the page, and compare with the budgets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument(
        "--server",
        action="append",
        choices=list(SERVERS),
        help="measure this one; the page keeps the figures of the others from their last run",
    )
    options = parser.parse_args()
    MEASURED.mkdir(parents=True, exist_ok=True)
    with short_folder() as folder, PostgreSQL(folder) as database:
        environment = os.environ | {"DATABASE_FOLDER": str(folder)}
        prepare = [sys.executable, "-m", "benchmarks.database_project"]
        subprocess.run(prepare, env=environment, cwd=test_versions.ROOT, check=True)
        servers = options.server or list(SERVERS)
        for server in servers:
            path_of(server).write_text(json.dumps(run(server, database, options)))
    measured = {server: read(server) for server in SERVERS if path_of(server).exists()}
    if len(measured) == len(SERVERS):
        PAGE.write_text(database_page.render(describe_machine(), measured))
    if troubles := database_page.troubles({server: measured[server] for server in servers}):
        sys.exit("\n".join(troubles))


if __name__ == "__main__":
    main()
