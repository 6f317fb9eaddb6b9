"""The least that could run resources: one bare asyncio task for each."""

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Callable

__all__ = ("SLOW", "STEPS", "run_bare_tasks")

SLOW = 0.010
"""The seconds that a slow resource takes, each way."""

STEPS = ("task", "variable", "generator")
"""A bare task, one that sets a context variable, and one that runs an async generator besides."""

_variable: contextvars.ContextVar[object] = contextvars.ContextVar("_variable")


async def run_bare_tasks(
    count: int,
    delay: float = 0,
    clock: Callable[[], float] = time.process_time,
    step: str = "task",
) -> tuple[float, float]:
    """Return the seconds that *count* bare tasks take to start, and then to end.

    Each takes *delay* to start, notes that it has started, waits for a future of its own, takes
    *delay* to end. All are started at once and told to end at once. From step to step of `STEPS`
    each does more of the work that a resource needs.
    """
    has_variable, has_generator = step != "task", step == "generator"
    loop = asyncio.get_running_loop()
    missing = count
    complete = loop.create_future()
    stops: list[asyncio.Future[None]] = []

    async def generate() -> AsyncIterator[None]:
        yield

    async def live() -> None:
        nonlocal missing
        generator = None
        if has_variable:
            _variable.set(stops)
        if has_generator:
            generator = generate()
            await anext(generator)
        if delay:
            await asyncio.sleep(delay)
        stop = loop.create_future()
        stops.append(stop)
        missing -= 1
        if not missing:
            complete.set_result(None)
        await stop
        if delay:
            await asyncio.sleep(delay)
        if generator is not None:
            await anext(generator, None)

    began = clock()
    tasks = [loop.create_task(live()) for _ in range(count)]
    await complete
    started = clock()
    for stop in stops:
        stop.set_result(None)
    await asyncio.gather(*tasks)
    return started - began, clock() - started
