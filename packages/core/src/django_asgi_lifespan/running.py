"""The project's lifespan outside a server: in management commands, scripts, task queues, shells."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from .errors import LifespanFailedError
from .lifespan import ProjectLifespan

__all__ = ("RunningLifespan", "run_lifespan", "run_lifespan_sync")

T = TypeVar("T")

logger = logging.getLogger("django_asgi_lifespan")


@asynccontextmanager
async def run_lifespan() -> AsyncGenerator[dict[str, Any]]:
    """Run the project's lifespan around a block of async code, and yield its state.

    Inside, ``.get()`` works as in a view. Django must be set up. Functions that take the
    application get None.

    Raises:
        StartupFailedError: something failed to start; nothing is left open.
        ShutdownFailedError: something failed to stop; everything had its turn all the same.
    """
    with ExitStack() as adapters:
        async with ProjectLifespan({"type": "lifespan"}, adapters=adapters) as state:
            yield state


class RunningLifespan:
    """A lifespan that runs in a thread of its own.

    Attributes:
        state: the state of the lifespan.
        loop: the event loop in that thread.
    """

    def __init__(self, state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.state = state
        self.loop = loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what *coroutine* returns, run in the event loop of the lifespan."""
        call = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return call.result()
        finally:
            call.cancel()  # does nothing but where the wait was interrupted


@contextmanager
def run_lifespan_sync() -> Generator[RunningLifespan]:
    """Run the project's lifespan around a block of sync code, in a thread with a loop of its own.

    Inside, ``.get()`` works as in a sync view, and ``run()`` of what it yields runs a coroutine.
    Django must be set up.

    Raises:
        StartupFailedError: something failed to start; nothing is left open.
        ShutdownFailedError: something failed to stop; everything had its turn all the same.
    """
    started: Future[tuple[RunningLifespan, asyncio.Event]] = Future()
    ended: Future[None] = Future()

    async def live() -> None:
        stop = asyncio.Event()
        async with run_lifespan() as state:
            started.set_result((RunningLifespan(state, asyncio.get_running_loop()), stop))
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            (ended if started.done() else started).set_exception(error)
        else:
            ended.set_result(None)

    thread = threading.Thread(target=work, name="lifespan")
    thread.start()
    lifespan, stop = started.result()
    try:
        yield lifespan
    except BaseException:
        _stop(lifespan, stop, thread)
        try:
            ended.result()
        except LifespanFailedError as failure:
            logger.error("The lifespan's shutdown failed: %s", failure)
        raise
    _stop(lifespan, stop, thread)
    ended.result()


def _stop(lifespan: RunningLifespan, stop: asyncio.Event, thread: threading.Thread) -> None:
    lifespan.loop.call_soon_threadsafe(stop.set)
    thread.join()
