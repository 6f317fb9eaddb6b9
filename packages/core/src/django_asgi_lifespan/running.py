"""The project's lifespan outside a server: in management commands, scripts, task queues, shells."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING, Any

from .errors import LifespanError
from .lifespan import ProjectLifespan
from .lifespan_thread import LifespanThread, RunningLifespan
from .lifespans import Lifespan, answering
from .own_thread import own_thread, thread_sensitive_context

if TYPE_CHECKING:
    from .resources import Those

__all__ = ("RunningLifespan", "run_lifespan", "run_lifespan_sync")


@asynccontextmanager
async def run_lifespan(*, only: Those | None = None) -> AsyncGenerator[dict[str, Any]]:
    """Run the project's lifespan around a block of async code, and yield its state.

    Inside, ``.get()`` works as in a view. Django must be set up. Functions that take the
    application get None. Synchronous code in the block, such as Django's ORM, has a thread of its
    own, whose database connections are closed at the end, unless asgiref has one for it already.

    Args:
        only: the resources, or names of resources, that start with those that they require. Nothing
            else does, and no Django signal is sent. Without it, everything starts.

    Raises:
        StartupFailedError: something failed to start, and nothing is left open.
        ShutdownFailedError: something failed to stop, but everything had its turn all the same.
        LifespanError: the event loop is not of asyncio.
    """
    if asyncio._get_running_loop() is None:  # under trio
        from .lookup import REASONS

        raise LifespanError(f"run_lifespan() cannot run here: {REASONS['no asyncio']}")
    is_outermost = thread_sensitive_context.get(None) is None
    with ExitStack() as adapters:
        project = ProjectLifespan({"type": "lifespan"}, adapters=adapters, only=only)
        async with project as state:
            with _answering(project.lifespan):
                async with own_thread() if is_outermost else nullcontext():
                    yield state


@contextmanager
def run_lifespan_sync(*, only: Those | None = None) -> Generator[RunningLifespan]:
    """Run the project's lifespan around a block of sync code, in a thread with a loop of its own.

    Inside, ``.get()`` works as in a sync view, and ``run()`` of the yielded object runs a
    coroutine. Django must be set up. Ctrl+C and SIGTERM end the block, also while it starts, and
    everything is closed. Where the block is never left, the end of the process closes everything.

    Args:
        only: the resources, or names of resources, that start, as in ``run_lifespan()``.

    Raises:
        StartupFailedError: something failed to start, and nothing is left open.
        ShutdownFailedError: something failed to stop, but everything had its turn all the same.
    """
    thread = LifespanThread(only=only)
    with _sigterm_as_exit(), thread as running, _answering(thread.lifespan):
        yield running


@contextmanager
def _answering(lifespan: Lifespan) -> Generator[None]:
    """Let *lifespan* answer in this block."""
    token = answering.set(lifespan)
    try:
        yield
    finally:
        if lifespan is answering.get():
            try:
                answering.reset(token)
            except ValueError:  # the block is left in another context than it was entered in
                answering.set(None)


@contextmanager
def _sigterm_as_exit() -> Generator[None]:
    """Leave the block at SIGTERM, where it would kill the process with everything open."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    told = False

    def exit_once(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, exit_once)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is exit_once:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
