"""A thread with an event loop of its own, in which a lifespan runs for a block of sync code."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any, TypeVar, cast

from .errors import LifespanError, LifespanFailedError
from .last_resort import log
from .lifespan import ProjectLifespan
from .lifespans import Lifespan
from .own_thread import OwnThreads

__all__ = ("LifespanThread", "RunningLifespan")

T = TypeVar("T")

logger = logging.getLogger("django_asgi_lifespan")

HURRY = 0.05
"""Seconds between two cancellations of a lifespan, which counts them one by one."""

GRACE = 1.0
"""Seconds that the event loop has to end when the lifespan has."""


class RunningLifespan:
    """A lifespan that runs in a thread of its own.

    Attributes:
        state: the state of the lifespan.
        loop: the event loop in that thread.
        threads: run the synchronous code of coroutines.
    """

    def __init__(self, state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.state = state
        self.loop = loop
        self._pid = os.getpid()
        self.threads = OwnThreads()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what *coroutine* returns, run in the event loop of the lifespan.

        Synchronous code in it, such as Django's ORM, has a thread that no other call uses
        meanwhile. Django's database connections of that thread are treated as around a request.

        Raises:
            LifespanError: the event loop cannot run it, and the message says why.
        """
        reason = self._why_not()
        if reason:
            coroutine.close()
            raise LifespanError(f"The lifespan cannot run {coroutine!r}: {reason}")
        return self._run(coroutine)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        call = asyncio.run_coroutine_threadsafe(self.threads.lend_to(coroutine), self.loop)
        try:
            return call.result()
        finally:
            call.cancel()  # does nothing but where the wait was interrupted

    def _why_not(self) -> str:
        if os.getpid() != self._pid:
            return (
                "this process was forked from the one in which the event loop runs. Start a "
                "lifespan in this process: with run_lifespan_sync(). [lifespan-forked]"
            )
        if asyncio._get_running_loop() is self.loop:
            return "this is its own event loop, which would wait. Use 'await'. [lifespan-own-loop]"
        if self.loop.is_closed():
            return (
                "it has ended, and everything that it had opened is closed. Call run() in the "
                "block of run_lifespan_sync(). [lifespan-ended]"
            )
        return ""


class LifespanThread:
    """The thread in which a lifespan runs: a context manager around the block.

    Args:
        only: the resources that start, as in ``ProjectLifespan``.
    """

    lifespan: Lifespan
    running_class = RunningLifespan

    def __init__(self, *, only: Iterable[object] | None = None) -> None:
        self._only = only
        self._begun: Future[asyncio.AbstractEventLoop] = Future()
        self._started: Future[RunningLifespan] = Future()
        self._ended: Future[None] = Future()
        self._closed: Future[None] = Future()
        self._pid = os.getpid()
        self._owner = threading.current_thread()
        # A daemon: an abandoned task that ignores its cancellation keeps the event loop for ever.
        self._thread = threading.Thread(target=self._run, name="lifespan", daemon=True)

    def __enter__(self) -> RunningLifespan:
        # A function of ``atexit`` would come too late: by then no executor takes any work, and a
        # resource that closes in a thread would fail.
        at_exit = getattr(threading, "_register_atexit", atexit.register)
        at_exit(functools.partial(_stop_at_exit, weakref.ref(self)))
        try:
            self._thread.start()
            return self._wait_for(self._started)
        except BaseException:
            self._stop()
            raise

    def __exit__(self, exception_type: object, exception: object, traceback: object) -> None:
        if os.getpid() != self._pid:  # a fork has neither the thread nor anything to close
            return
        self._stop()
        try:
            self._ended.result()
        except LifespanFailedError as failure:
            if exception_type is None:
                raise
            log(logger, logging.ERROR, "The lifespan's shutdown failed: %s", failure)

    def stop_at_exit(self) -> None:
        """Close everything where the block was not left. A thread may still be in its block."""
        if os.getpid() == self._pid and not self._closed.done():
            if not self._owner.daemon and self._owner is not threading.main_thread():
                self._owner.join()
            self._stop()

    def _wait_for(self, future: Future[T]) -> T:
        return future.result()

    def _stop(self) -> None:
        """Cancel a startup or end the block, and return when everything is closed.

        Ctrl+C meanwhile cuts the closing short. SIGTERM, which supervisors repeat, does not.
        """
        if not self._thread.ident:  # it was not even started
            return
        self._call_in_loop(self._end)
        try:
            self._wait_for(self._closed)
        except BaseException as interruption:
            if isinstance(interruption, KeyboardInterrupt):
                self._call_in_loop(self._hurry)
            self._wait_for(self._closed)
            raise
        finally:
            self._thread.join(GRACE)

    def _call_in_loop(self, function: Callable[[], object]) -> None:
        loop = self._begun.result()
        with contextlib.suppress(RuntimeError):  # it is closed already
            loop.call_soon_threadsafe(function)

    def _end(self) -> None:
        if self._started.done():
            self._over.set()
        else:
            self._main.cancel()

    def _hurry(self) -> None:
        """Cancel the lifespan twice: the second time cuts the rest short."""
        self._main.cancel()
        self._main.get_loop().call_later(HURRY, self._main.cancel)

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._over = asyncio.Event()
        self._main = cast("asyncio.Task[Any]", asyncio.current_task())
        self._begun.set_result(asyncio.get_running_loop())
        try:
            await self._run_lifespan()
        except BaseException as error:
            (self._ended if self._started.done() else self._started).set_exception(error)
        else:
            self._ended.set_result(None)
        finally:
            self._closed.set_result(None)

    async def _run_lifespan(self) -> None:
        with ExitStack() as adapters:
            project = ProjectLifespan({"type": "lifespan"}, adapters=adapters, only=self._only)
            async with project as state:
                self.lifespan = project.lifespan
                running = self.running_class(state, asyncio.get_running_loop())
                self._started.set_result(running)
                try:
                    await self._over.wait()
                finally:
                    await running.threads.end()


def _stop_at_exit(reference: weakref.ref[LifespanThread]) -> None:
    thread = reference()
    if thread is not None:
        thread.stop_at_exit()
