"""The least that could run resources: one bare asyncio task for each."""

import asyncio
import time
from collections.abc import Callable

__all__ = ("SLOW", "run_bare_tasks")

SLOW = 0.010
"""The seconds that a slow resource takes, each way."""


async def run_bare_tasks(
    count: int, delay: float = 0, clock: Callable[[], float] = time.process_time
) -> tuple[float, float]:
    """Return the seconds that *count* bare tasks take to start, and then to end.

    Each takes *delay* to start, notes that it has started, waits for a future of its own, takes
    *delay* to end. All are started at once and told to end at once.
    """
    loop = asyncio.get_running_loop()
    missing = count
    complete = loop.create_future()
    stops: list[asyncio.Future[None]] = []

    async def live() -> None:
        nonlocal missing
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

    began = clock()
    tasks = [loop.create_task(live()) for _ in range(count)]
    await complete
    started = clock()
    for stop in stops:
        stop.set_result(None)
    await asyncio.gather(*tasks)
    return started - began, clock() - started
