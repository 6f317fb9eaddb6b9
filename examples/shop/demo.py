"""Run the shop under stock uvicorn, send it a few requests, stop it, and show each event.

    python examples/shop/demo.py

The exit code is 0 if every resource was opened before the first answer and closed after the last,
every answer was the right one, every accepted order is in the database, and uvicorn ended as
SIGTERM makes it end. With ``--kill`` the server gets SIGKILL instead, which leaves nobody to close
anything, and the demo has to say so.
"""

import argparse
import contextlib
import json
import signal
import sqlite3
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx
from demo_report import Event, Report
from demo_server import COMMAND, DEADLINE, Server
from demo_supplier import CATALOGUE, STOCK, serve_supplier
from rich.console import Console

RESOURCES = ["http_client", "catalogue", "database", "consumer"]
ORDERS = ["2 tea", "1 coffee", "3 tea"]
PATIENCE = 10.0
"""Seconds that the consumer may take to write the orders that it was sent."""


def main() -> int:
    """Run the demo, and return its exit code."""
    parser = argparse.ArgumentParser(description="Show what a shop opens and closes, and when.")
    parser.add_argument("--kill", action="store_true", help="stop the server with SIGKILL")
    stop = signal.SIGKILL if parser.parse_args().kill else signal.SIGTERM
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_early)

    report = Report(RESOURCES)
    with tempfile.TemporaryDirectory() as folder, serve_supplier() as supplier_url:
        database = Path(folder, "shop.sqlite3")
        environment = {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "SHOP_DATABASE": str(database),
            "SUPPLIER_URL": supplier_url,
            "WEB_CONCURRENCY": "1",  # uvicorn's number of workers
            "no_proxy": "*",
        }
        with contextlib.closing(Server(environment)) as server:
            report.note("uvicorn launched", f"process {server.process.pid}")
            if url := server.url():
                report.note("uvicorn serves", url)
                visit(url, report)
                report.note(f"{stop.name} sent")
            exit_code = server.stop(stop)
            report.note("uvicorn ended", name_of(exit_code))
        written = orders_in(database)

    report.read_log(server.lines)
    report.check_resources()
    report.expect(report.requests, "uvicorn ended before it served anything.")
    report.expect(written == ORDERS, f"The database has {written} of the orders {ORDERS}.")
    report.expect(not server.timed_out, f"uvicorn was killed, running after {DEADLINE:g} s still.")
    report.expect(
        exit_code == -signal.SIGTERM,
        f"uvicorn ended with {name_of(exit_code)}, not {name_of(-signal.SIGTERM)}.",
    )
    show(report, server)
    return 1 if report.problems else 0


def end_early(number: int, frame: FrameType | None) -> NoReturn:
    """End in an orderly way, which ends the server too."""
    sys.exit(1)


def name_of(exit_code: int) -> str:
    """Return the exit code in words, with the OS signal that it stands for."""
    name = f" ({signal.Signals(-exit_code).name})" if exit_code < 0 else ""
    return f"exit code {exit_code}{name}"


def visit(url: str, report: Report) -> None:
    """Send the requests of customers, and compare every answer with the expected one."""
    with httpx.Client(base_url=url, trust_env=False) as client:
        shop = Shop(client, report)
        shop.get("/catalogue", CATALOGUE)
        shop.order(ORDERS[0])
        shop.order(ORDERS[1])
        shop.get("/orders", ORDERS[:2], patience=PATIENCE)
        shop.get("/stock/tea", {"tea": STOCK["tea"]})
        shop.order(ORDERS[2])


class Shop:
    """The shop as its customers see it."""

    def __init__(self, client: httpx.Client, report: Report) -> None:
        self._client = client
        self._report = report

    def get(self, path: str, answer: object, *, patience: float = 0.0) -> None:
        """Ask for the answer. With patience, ask again while it is another, but no error."""
        deadline = time.monotonic() + patience
        expected = f"200 {json.dumps(answer)}"
        pause = 0.001
        event = self._ask("GET", path)
        while event.result.startswith("200 ") and event.result != expected:
            if time.monotonic() > deadline:
                break
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
            event = self._ask("GET", path)
        self._add(event, expected)

    def order(self, order: str) -> None:
        """Place an order, which the shop accepts before it is written."""
        quantity, article = order.split()
        event = self._ask("POST", "/orders", {"article": article, "quantity": quantity})
        self._add(event, f"202 {json.dumps({'accepted': order})}")

    def _ask(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Event:
        started = time.monotonic()
        try:
            response = self._client.request(method, path, data=form)
            result = f"{response.status_code} {response.text}"
        except httpx.HTTPError as error:
            result = f"no answer: {error!r}"
        took = (time.monotonic() - started) * 1000
        return Event(time.time(), f"{method} {path}", result, took)

    def _add(self, event: Event, expected: str) -> None:
        self._report.add_request(event)
        self._report.expect(
            event.result == expected,
            f"{event.what} was answered {textwrap.shorten(event.result, 60)}, not {expected}.",
        )


def orders_in(database: Path) -> list[str]:
    """Read the orders that the shop left in its database, if it got so far."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            rows = connection.execute("SELECT quantity, article FROM orders").fetchall()
        except sqlite3.OperationalError:  # no such table
            return []
    return [f"{quantity} {article}" for quantity, article in rows]


def show(report: Report, server: Server) -> None:
    """Print the timeline and the verdict, and the server's output if anything was wrong."""
    console = Console(markup=False, highlight=False)
    console.print(f"$ python {' '.join(COMMAND)}\n", style="bold")
    report.show_timeline(console)
    report.show_verdict(console)
    if not report.problems:
        console.print(
            f"The {len(RESOURCES)} resources were open from before the first answer until after "
            f"the last, and the {len(ORDERS)} orders are in the database."
        )
    else:
        console.print("\nThe server's output:", style="bold")
        for line in server.lines:
            console.print(f"  {line}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
