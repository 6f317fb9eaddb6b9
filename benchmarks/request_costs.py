"""One measurement of whole requests in a fresh process: `python -m benchmarks.request_costs NAME`.

Prints its figures as JSON. Needs an environment that has the core of this workspace installed.
"""

import argparse
import asyncio
import gc
import json
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import connection
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path, set_script_prefix

from benchmarks.server import Server
from django_asgi_lifespan.handler import LifespanASGIHandler

__all__ = ("urlpatterns",)

Figures = dict[str, Any]

KEPT = 16
CLIENTS = 32
ROUNDS = 20
BATCH = 50
WARM_UP = 10_000
MANY = 100_000


async def hello(request: HttpRequest) -> HttpResponse:
    """Answer in async code."""
    return HttpResponse(b"ok")


def sync_hello(request: HttpRequest) -> HttpResponse:
    """Answer in sync code."""
    return HttpResponse(b"ok")


def query(request: HttpRequest) -> HttpResponse:
    """Answer with the result of a query."""
    database: Any = connection  # pyright cannot read the type of its cursor
    with database.cursor() as cursor:
        cursor.execute("SELECT 'ok'")
        return HttpResponse(cursor.fetchone()[0])


urlpatterns = [path("async", hello), path("sync", sync_hello), path("query", query)]


class WithoutChanges(LifespanASGIHandler):
    """The handler without Django's two changes to the thread of the request and back.

    Django's receivers and `response.close()` run in the event loop.
    """

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        with closing(await self.read_body(receive)) as body:
            set_script_prefix("/")
            request_started.send(sender=self.__class__, scope=scope)
            request = self.request_class(scope, body)
            leaving = asyncio.ensure_future(self.listen_for_disconnect(receive))
            response = await self.run_get_response(request)
            await self.send_response(response, send)
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
            response.close()


async def ask(handler: Any, state: Any, url: str) -> None:
    """Send one request to *handler*."""
    body = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        return body.pop() if body else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(f"The view failed: {message}")

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": url,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "state": state,
    }
    # A task, as under a server: asgiref keeps the thread of a request in its context.
    await asyncio.create_task(handler(scope, receive, send))


def ask_wsgi(handler: Any, url: str) -> None:
    """Send one request to *handler*."""
    environ = RequestFactory().get(url, headers={"host": "localhost"}).environ
    statuses: list[str] = []

    def start(status: str, _: object) -> None:
        statuses.append(status)

    response = handler(environ, start)
    b"".join(response)
    response.close()
    if statuses != ["200 OK"]:
        raise RuntimeError(f"The view failed: {statuses}")


async def measure_costs() -> dict[str, Figures]:
    """The seconds of one request, by view and handler, and the ratio to stock Django."""
    stock, threads, direct, wsgi = (
        ASGIHandler(),
        LifespanASGIHandler(),
        WithoutChanges(),
        WSGIHandler(),
    )
    worker = ThreadPoolExecutor(1)  # as of a WSGI server: without an event loop
    figures: dict[str, Figures] = {}
    async with Server(threads) as server, Server(direct) as direct_server:

        async def serve(handler: Any, state: Any, url: str) -> None:
            for _ in range(BATCH):
                await ask(handler, state, url)

        def serve_wsgi(url: str) -> None:
            for _ in range(BATCH):
                ask_wsgi(wsgi, url)

        calls: dict[str, Callable[[str], Awaitable[None]]] = {
            "stock": lambda url: serve(stock, {}, url),
            "control": lambda url: serve(stock, {}, url),
            "threads": lambda url: serve(threads, server.state, url),
            "direct": lambda url: serve(direct, direct_server.state, url),
            "wsgi": lambda url: asyncio.get_running_loop().run_in_executor(worker, serve_wsgi, url),
        }
        for url in ("/async", "/sync", "/query"):
            seconds = await compare(calls, url)
            figures[url.strip("/")] = {
                name: {
                    "seconds": statistics.median(every),
                    "ratio": statistics.median(
                        one / other for one, other in zip(every, seconds["stock"], strict=True)
                    ),
                }
                for name, every in seconds.items()
            }
    return figures


async def compare(
    calls: dict[str, Callable[[str], Awaitable[None]]], url: str
) -> dict[str, list[float]]:
    """The seconds of one request, by round. The order of the handlers turns by one each round."""
    names = list(calls)
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for turn in range(-1, ROUNDS):  # the first one warms up
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()  # the garbage of the others
            began = time.process_time()
            await calls[name](url)
            if turn >= 0:
                seconds[name].append((time.process_time() - began) / BATCH)
    return seconds


async def measure_connections() -> Figures:
    """The connections that 1,000 requests open one after the other."""
    opened = count_connections()
    stock, threads = ASGIHandler(), LifespanASGIHandler()
    figures: Figures = {}
    async with Server(threads) as server:
        for name, handler in (("stock", stock), ("threads", threads)):
            before = len(opened)
            for _ in range(1000):
                await ask(handler, server.state, "/query")
            figures[name] = len(opened) - before
    return figures


async def measure_endurance() -> Figures:
    """The connections, bytes and objects that many requests of many clients leave behind."""
    opened = count_connections()
    handler = LifespanASGIHandler()
    async with Server(handler) as server:

        async def client(requests: int) -> None:
            for _ in range(requests):
                await ask(handler, server.state, "/query")

        async def serve(requests: int) -> tuple[int, int]:
            await asyncio.gather(*[client(requests // CLIENTS) for _ in range(CLIENTS)])
            gc.collect()
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(gc.get_objects())

        memory, objects = await serve(WARM_UP)
        later_memory, later_objects = await serve(MANY)
    return {
        "connections": len(opened),
        "bytes": 1024 * (later_memory - memory),
        "objects": later_objects - objects,
    }


def count_connections() -> list[str]:
    """A list that gets an item for each connection that is opened from now on."""
    opened: list[str] = []

    def note(connection: Any, **_: Any) -> None:
        opened.append(connection.alias)

    connection_created.connect(note, weak=False)
    return opened


def main() -> None:
    """Take the measurement that the command line names."""
    measurements: dict[str, Callable[[], Coroutine[Any, Any, Figures]]] = {
        "costs": measure_costs,
        "connections": measure_connections,
        "endurance": measure_endurance,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measurement", choices=measurements)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(folder) / "database"),
            "CONN_MAX_AGE": None,
        }
        settings.configure(
            ALLOWED_HOSTS=["localhost"],
            ASGI_LIFESPAN={"REQUEST_THREADS": KEPT},
            DATABASES={"default": database},
            LOGGING_CONFIG=None,
            ROOT_URLCONF=__name__,
        )
        django.setup()
        json.dump(asyncio.run(measurements[options.measurement]()), sys.stdout)


if __name__ == "__main__":
    main()
