"""Resources that require one another, each of which reads its requirements while it opens."""

import gc
import math
import statistics
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.server import Server

__all__ = ("SHAPES", "Shape", "measure_shape")


class Shape(NamedTuple):
    """How resources require one another.

    Attributes:
        text: the shape in words.
        requires: takes the number of a resource and of all resources, and returns the numbers of
            those that it requires.
        small, large: the numbers of resources that are compared.
    """

    text: str
    requires: Callable[[int, int], Sequence[int]]
    small: int = 1_000
    large: int = 10_000

    def parts(self, count: int) -> int:
        """Return how many resources and requirements there are in all."""
        return count + sum(len(self.requires(number, count)) for number in range(count))


def _previous(number: int, _count: int) -> Sequence[int]:
    return range(max(number - 1, 0), number)


def _all_for_the_last(number: int, count: int) -> Sequence[int]:
    return range(number if number == count - 1 else 0)


def _first(number: int, _count: int) -> Sequence[int]:
    return range(min(number, 1))


def _previous_layer(number: int, count: int) -> Sequence[int]:
    width = math.isqrt(count)
    begin = number // width * width
    return range(max(begin - width, 0), begin)


def _parent(number: int, _count: int) -> Sequence[int]:
    return [(number - 1) // 2] if number else []


SHAPES = {
    "chain": Shape("in a chain", _previous),
    "fan-in": Shape("of which the last requires all", _all_for_the_last),
    "fan-out": Shape("that require the first", _first),
    "layers": Shape("in layers that require the whole layer before", _previous_layer, small=2_500),
    "tree": Shape("in a binary tree", _parent),
}


async def measure_shape(name: str, count: int, rounds: int) -> dict[str, float]:
    """The processor time and the peak of memory of a lifespan of *count* resources."""
    from django_asgi_lifespan.asgi import get_asgi_application

    _declare(SHAPES[name], count)
    handler = get_asgi_application()
    seconds: list[float] = []
    for _ in range(rounds):
        gc.collect()
        async with Server(handler) as server:
            pass
        seconds.append(server.startup + server.shutdown)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    async with Server(handler):
        pass
    _, peak = tracemalloc.get_traced_memory()
    return {"seconds": statistics.median(seconds), "bytes": peak - before}


def _declare(shape: Shape, count: int) -> None:
    from django_asgi_lifespan import resource

    declared: list[Any] = []
    for number in range(count):
        required = [declared[each] for each in shape.requires(number, count)]
        declare = resource(name=f"r{number}", requires=required)
        declared.append(declare(_make_reader(required)))


def _make_reader(required: list[Any]) -> Callable[[], AsyncIterator[int]]:
    async def read() -> AsyncIterator[int]:
        for each in required:
            each.get()
        yield 1

    return read
