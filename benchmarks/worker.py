"""One measurement in a fresh process: `python -m benchmarks.worker MEASUREMENT SIDE`.

Prints its figures as JSON. Runs in an environment that has one side installed: "this" is the core
of this workspace, "previous" is django-asgi-lifespan 0.5.4. Both import as django_asgi_lifespan.
"""

import argparse
import asyncio
import contextlib
import gc
import importlib
import json
import statistics
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from benchmarks.bare_tasks import SLOW, STEPS, run_bare_tasks
from benchmarks.server import Server
from benchmarks.shapes import measure_shape

__all__ = ("measure_shape",)

Figures = dict[str, Any]
Call = Callable[[], Awaitable[None]]

DISPATCH_ROUNDS = 150
REQUESTS = 1000
GET_ROUNDS = 100
GETS = 10_000
WHOLE_ROUNDS = 40
WHOLE_REQUESTS = 25


def measure_import(module: str) -> Figures:
    """The seconds that the first import of *module* takes."""
    began = time.process_time()
    importlib.import_module(module)
    return {"seconds": time.process_time() - began}


def measure_memory(module: str) -> Figures:
    """The bytes that the first import of *module* leaves allocated."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    importlib.import_module(module)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return {"bytes": after - before}


async def measure_dispatch(side: str) -> Figures:
    """The seconds per request of each handler: a list of the medians of its batches' differences.

    Django's work below `ASGIHandler.__call__` is replaced for all handlers alike: by an object of
    the handler's request class with nothing but its scope, and a view that reads `request.state`
    where there is one.
    """
    from benchmarks.floor_handler import FloorASGIHandler
    from django_asgi_lifespan.asgi import get_asgi_application
    from django_asgi_lifespan.middleware import LifespanStateMiddleware

    async def stock_view(request: Any) -> Any:
        return request.scope

    async def view(request: Any) -> Any:
        return request.state

    async def floor_view(request: Any) -> Any:
        return request.scope["state"]

    register(side, make_trivial(1, "trivial"))
    handler = get_asgi_application()
    scope: dict[str, Any] = {"type": "http", "state": {}}
    middleware: Any = LifespanStateMiddleware(view)
    own_view = view if side == "this" else stock_view
    calls = {
        "stock": stubbed(ASGIHandler(), stock_view, scope),
        "control": stubbed(ASGIHandler(), stock_view, scope),
        "floor": stubbed(FloorASGIHandler(), floor_view, scope),
        "handler": stubbed(handler, own_view, scope),
        "middleware": stubbed(get_asgi_application(), middleware, scope),
    }
    async with Server(handler):
        if side == "this":  # the handler behind the middleware needs a lifespan of its own
            del calls["middleware"]
        return await compare(calls, DISPATCH_ROUNDS, REQUESTS)


def stubbed(handler: Any, view: Callable[[Any], Awaitable[Any]], scope: dict[str, Any]) -> Call:
    """A call of *handler* with *scope*, below which only a bare request goes to *view*."""
    request_class: Any = handler.request_class

    async def handle(scope: Any, receive: Any, send: Any) -> None:
        request = object.__new__(request_class)
        request.scope = scope
        await view(request)

    async def unused(*_: Any) -> None:
        raise RuntimeError("The stub reads and sends nothing.")

    handler.handle = handle
    return lambda: handler(scope, unused, unused)


async def measure_whole(side: str) -> Figures:
    """The seconds per trivial request of each handler, all of Django included."""
    from django_asgi_lifespan.asgi import get_asgi_application

    register(side, make_trivial(1, "trivial"))
    handler = get_asgi_application()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"The view failed: {message}")

    def call(handler: Any) -> Call:
        async def request() -> None:
            body = iter([{"type": "http.request"}])

            async def receive() -> Any:
                for message in body:
                    return message
                return await asyncio.get_running_loop().create_future()  # never disconnects

            scope: dict[str, Any] = {
                "type": "http",
                "http_version": "1.1",
                "method": "GET",
                "path": "/",
                "query_string": b"",
                "headers": [(b"host", b"localhost")],
                "state": {},
            }
            await handler(scope, receive, send)

        return request

    calls = {"stock": call(ASGIHandler()), "control": call(ASGIHandler()), "handler": call(handler)}
    async with Server(handler):
        return await compare(calls, WHOLE_ROUNDS, WHOLE_REQUESTS)


async def compare(calls: dict[str, Call], rounds: int, count: int) -> Figures:
    """The seconds of one call of each, and how many more than of stock Django and of the floor.

    In every round each has its batch of *count* calls, and the order turns by one. A difference
    is the median of the differences within the rounds.
    """
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for call in calls.values():
        await batch(call, count)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(await batch(calls[name], count))

    def over(name: str, reference: str) -> float:
        pairs = zip(seconds[name], seconds[reference], strict=True)
        return statistics.median(one - other for one, other in pairs)

    references = [name for name in ("stock", "floor") if name in calls]
    return {
        name: {
            "seconds": statistics.median(seconds[name]),
            **{f"over {reference}": over(name, reference) for reference in references},
        }
        for name in names
    }


async def batch(call: Call, count: int) -> float:
    """The seconds of one call, of *count* in a row."""
    began = time.process_time()
    for _ in range(count):
        await call()
    return (time.process_time() - began) / count


async def measure_get(_side: str) -> Figures:
    """The seconds of one `.get()` in async code and in a sync view, and how many floors that is.

    The loop that makes the calls is included.
    """
    from django_asgi_lifespan import resource
    from django_asgi_lifespan.asgi import get_asgi_application

    (factory,) = make_trivial(1, "trivial")
    trivial: Any = resource(factory)
    owners = {"get": trivial, "floor": Floor(), "control": trivial}
    time_in_sync_view = sync_to_async(time_gets)
    figures: defaultdict[str, list[float]] = defaultdict(list)
    async with Server(get_asgi_application()):
        for _ in range(GET_ROUNDS):
            for name, owner in owners.items():
                figures[f"async {name}"].append(time_gets(owner))
                figures[f"sync {name}"].append(await time_in_sync_view(owner))
    for code in ("async", "sync"):
        pairs = zip(figures[f"{code} get"], figures[f"{code} floor"], strict=True)
        figures[f"{code} ratio"] = [seconds / floor for seconds, floor in pairs]
    return {name: statistics.median(values) for name, values in figures.items()}


class Floor:
    """The least that has a `.get()`."""

    value = 0

    def get(self) -> int:
        """Return an attribute."""
        return self.value


def time_gets(owner: Any) -> float:
    """The seconds of one `.get()` of *owner*."""
    turns = range(GETS)
    began = time.process_time()
    for _ in turns:
        owner.get()
    return (time.process_time() - began) / GETS


async def measure_resources(side: str, count: int, rounds: int) -> Figures:
    """The seconds to register, start and stop *count* trivial resources, and bare tasks beside."""
    from django_asgi_lifespan.asgi import get_asgi_application

    factories = make_trivial(count, "trivial")
    gc.collect()
    began = time.process_time()
    register(side, factories)
    figures: Figures = {"register": time.process_time() - began, "rounds": []}
    handler = get_asgi_application()
    for _ in range(rounds):
        figures["rounds"].append(await run_round(handler, count))
        for step in STEPS[1:]:
            gc.collect()
            seconds = await run_bare_tasks(count, step=step)
            figures["rounds"][-1][step] = dict(zip(("start", "stop"), seconds, strict=True))
    return figures


async def measure_slow(side: str, count: int, rounds: int) -> Figures:
    """The same for resources that take 10 ms each way, and for the same ones without a delay."""
    from django_asgi_lifespan.asgi import get_asgi_application

    delays = [0.0]
    register(side, make_slow(count, delays))
    handler = get_asgi_application()
    figures: Figures = {"trivial": [], "slow": []}
    for _ in range(rounds):
        for kind, delay in (("trivial", 0.0), ("slow", SLOW)):
            delays[0] = delay
            figures[kind].append(await run_round(handler, count, delay, time.perf_counter))
    return figures


async def run_round(
    handler: Any, count: int, delay: float = 0, clock: Callable[[], float] = time.process_time
) -> Figures:
    """The seconds of a start and a stop, between those of bare tasks before and after."""
    gc.collect()
    floor = await run_bare_tasks(count, delay, clock)
    gc.collect()
    async with Server(handler, clock) as server:
        gc.collect()
    gc.collect()
    control = await run_bare_tasks(count, delay, clock)
    return {
        "start": [floor[0], server.startup, control[0]],
        "stop": [floor[1], server.shutdown, control[1]],
    }


def make_trivial(count: int, name: str) -> list[Any]:
    """*count* async generator functions that yield at once."""

    def make(index: int) -> Any:
        value = {f"{name}_{index}": index}

        async def trivial() -> AsyncIterator[dict[str, int]]:
            yield value

        trivial.__name__ = f"{name}_{index}"
        return trivial

    return [make(index) for index in range(count)]


def make_slow(count: int, delays: list[float]) -> list[Any]:
    """*count* async generator functions that take `delays[0]` before and after they yield."""

    def make(index: int) -> Any:
        value = {f"slow_{index}": index}

        async def slow() -> AsyncIterator[dict[str, int]]:
            if delays[0]:
                await asyncio.sleep(delays[0])
            yield value
            if delays[0]:
                await asyncio.sleep(delays[0])

        slow.__name__ = f"slow_{index}"
        return slow

    return [make(index) for index in range(count)]


def register(side: str, factories: list[Any]) -> None:
    """Register *factories* in the way of each side."""
    if side == "this":
        from django_asgi_lifespan import resource

        for factory in factories:
            resource(factory)
    else:
        from django_asgi_lifespan.register import register_lifespan_manager

        for factory in factories:
            register_lifespan_manager(context_manager=contextlib.asynccontextmanager(factory))


def set_up_django() -> None:
    """Set up a Django project that has one view and nothing else."""
    settings.configure(
        ALLOWED_HOSTS=["localhost"], LOGGING_CONFIG=None, ROOT_URLCONF="benchmarks.urls"
    )
    django.setup()


def main() -> None:
    """Take the measurement that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measurement")
    parser.add_argument("subject")
    parser.add_argument("numbers", nargs="*", type=int)
    options = parser.parse_args()
    measure = globals()[f"measure_{options.measurement}"]

    set_up_django()
    figures = measure(options.subject, *options.numbers)
    if asyncio.iscoroutine(figures):
        figures = asyncio.run(figures)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
