"""The page of the benchmark with a database, and its budgets."""

import statistics
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.database_servers import (
    CONTROL,
    PATHS,
    STOCK,
    VARIANTS,
    Figures,
    Variant,
)
from benchmarks.throughput import describe_versions
from tools import test_versions

__all__ = ("Measured", "render", "troubles")

TEMPLATE = test_versions.ROOT / "benchmarks" / "database.md"
THREADS, THREADS_AND_POOL = VARIANTS[3:5]
LEAST = {"hello": 1.05, "query": 1.8, "aquery": 1.8}
"""The processor time of stock Django over that with request threads, PostgreSQL's included."""

MOST_CONNECTIONS = 50


class Measured(NamedTuple):
    """The figures of one server.

    Attributes:
        rounds: by variant and path.
        clients: the connections of wrk.
        load: the load average at the end.
    """

    rounds: list[dict[str, dict[str, Figures]]]
    clients: int
    load: float

    def has(self, variant: Variant, path: str) -> bool:
        """Whether this was measured."""
        return path in self.rounds[0].get(variant.name, {})

    def median(self, variant: Variant, path: str) -> Figures:
        """Return the medians of the rounds."""
        every = [each[variant.name][path] for each in self.rounds]
        return Figures(*map(statistics.median, zip(*every, strict=True)))

    def ratio(self, variant: Variant, path: str) -> float:
        """Return the rate over that of stock Django in the same round: the median of the rounds.

        Stock Django was measured twice. The control is its second rate over its first one.
        """
        ratios: list[float] = []
        for each in self.rounds:
            stock, again = each[STOCK.name][path].rate, each[CONTROL.name][path].rate
            reference = stock if variant is CONTROL else (stock + again) / 2
            ratios.append(each[variant.name][path].rate / reference)
        return statistics.median(ratios)

    def saving(self, path: str) -> float:
        """Return the processor time of stock Django over that with request threads, likewise.

        PostgreSQL's is included.
        """
        ratios: list[float] = []
        for each in self.rounds:
            stock, again, threads = (
                each[variant.name][path].server + each[variant.name][path].database
                for variant in (STOCK, CONTROL, THREADS)
            )
            ratios.append((stock + again) / 2 / threads)
        return statistics.median(ratios)


def troubles(measured: dict[str, Measured]) -> list[str]:
    """Return the budgets that are not kept, in words."""
    found: list[str] = []
    for server, each in measured.items():
        for path, least in LEAST.items():
            if not each.has(THREADS, path):
                continue
            if (ratio := each.saving(path)) < least:
                found.append(
                    f"{server}, {PATHS[path]}: the processor time of stock Django is {ratio:.2f} x "
                    f"that with request threads, and not {least} x"
                )
            found += [
                f"{server}, {variant.name}, {PATHS[path]}: {opened:.0f} connections for "
                f"1,000 requests, and not {MOST_CONNECTIONS} at most"
                for variant in (THREADS, THREADS_AND_POOL)
                if (opened := each.median(variant, path).connections) > MOST_CONNECTIONS
            ]
    return found


def _table(
    measured: dict[str, Measured],
    paths: tuple[str, ...],
    cell: Callable[[Measured, Variant, str], str],
) -> str:
    head = [f"{each.name[0].upper()}{each.name[1:]}" for each in VARIANTS]
    lines = [f"| Server | {' | '.join(head)} |", f"|---{'|---' * len(VARIANTS)}|"]
    for server, each in measured.items():
        for path in paths:
            if each.has(STOCK, path):
                cells = [
                    cell(each, variant, path) if each.has(variant, path) else ""
                    for variant in VARIANTS
                ]
                name = f"{server}, async view" if path == "aquery" else server
                lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rate(measured: Measured, variant: Variant, path: str) -> str:
    if variant is STOCK:
        return f"{measured.median(variant, path).rate:.0f}/s"
    return f"{measured.ratio(variant, path):.2f} x"


def _time(measured: Measured, variant: Variant, path: str) -> str:
    each = measured.median(variant, path)
    return f"{each.server:.2f}" if path == "hello" else f"{each.server:.2f} + {each.database:.2f}"


def _opened(measured: Measured, variant: Variant, path: str) -> str:
    return f"{measured.median(variant, path).connections:.0f}"


def render(machine: str, measured: dict[str, Measured]) -> str:
    """Return the page."""
    query = ("query", "aquery")
    uvicorn = measured["uvicorn"]
    controls = [
        each.ratio(CONTROL, path)
        for each in measured.values()
        for path in PATHS
        if each.has(CONTROL, path)
    ]
    return TEMPLATE.read_text().format(
        hello_rates=_table(measured, ("hello",), _rate),
        hello_times=_table(measured, ("hello",), _time),
        query_rates=_table(measured, query, _rate),
        query_times=_table(measured, query, _time),
        query_connections=_table(measured, query, _opened),
        machine=machine,
        versions=describe_versions("asgiref", "psycopg", "psycopg-pool"),
        clients=uvicorn.clients,
        rounds=min(len(each.rounds) for each in measured.values()),
        least=min(each.load for each in measured.values()),
        most=max(each.load for each in measured.values()),
        lowest=min(controls),
        highest=max(controls),
        least_hello=LEAST["hello"],
        least_query=LEAST["query"],
        most_connections=MOST_CONNECTIONS,
    )
