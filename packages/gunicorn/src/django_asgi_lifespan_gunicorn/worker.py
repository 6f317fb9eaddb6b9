"""What both worker classes share: the lifespan around the server, and the end of a worker."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Generator
from types import FrameType
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from django_asgi_lifespan import LifespanError, LifespanUnsupportedError
from django_asgi_lifespan.driver import Application, LifespanDriver
from django_asgi_lifespan.state import announce_stopping
from django_asgi_lifespan.supervisor import GRACE

from .stop import Stop

__all__ = ("LifespanWorkerBase",)

POLL = 0.05
"""Seconds between two looks at what is going to end, while the worker stops."""

GIVING_UP = 0.5
"""Seconds that requests have to end after they are told that the client has gone.

As many they have after they are cancelled. Django cancels a view when the client goes, but it
leaves the view running when it is cancelled itself: django/core/handlers/asgi.py, ``handle()``.
"""

FAREWELL = (0.2, 1.0)
"""Seconds that tasks which are left when all has ended have to heed their cancellation.

The least and the most; the time that is left for the stop lies between.
"""

HANDOVER = 10.0
"""Seconds after which a worker no longer relies on another one to tell the arbiter."""


class LifespanWorkerBase(Worker):
    """A gunicorn worker that opens the lifespan before it serves and closes it after the last.

    Attributes:
        drain_share: of the ``graceful_timeout``, the part that requests in flight get. The rest
            is kept for the lifespan's shutdown, which also gets what they leave over.
        quick_timeout: seconds that requests in flight get at SIGINT and SIGQUIT. gunicorn
            promises a quick shutdown there, without a number; its arbiter counts to 2.
    """

    drain_share: ClassVar[float] = 0.6
    quick_timeout: ClassVar[float] = 3.0

    def __init__(self, *args: Any, **options: Any) -> None:
        self._alive = True
        self._awaken: Callable[[], object] | None = None
        self._has_failed = False
        self._was_cut = False
        self._first_to_fail = _first_to_fail()  # made in the arbiter, for all of its workers
        super().__init__(*args, **options)
        self._stop = Stop(
            graceful_timeout=self.cfg.graceful_timeout,
            drain_share=self.drain_share,
            quick_timeout=self.quick_timeout,
        )

    # What the worker classes add.

    def application(self) -> Application:
        """Return the application, for its lifespan."""
        raise NotImplementedError

    async def serve(self, state: dict[str, Any]) -> None:
        """Serve requests, each with a copy of *state*, until told to stop; then drain."""
        raise NotImplementedError

    def is_serving(self) -> bool:
        """Return whether clients can connect, or could."""
        raise NotImplementedError

    def drain(self, serving: asyncio.Task[None]) -> asyncio.Task[None] | None:
        """Tell ``serve()``, which runs as *serving*, to stop; return what else to wait for."""
        raise NotImplementedError

    def requests(self) -> Collection[asyncio.Task[Any]]:
        """Return the tasks of the requests in flight."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """Let the requests in flight know that they are given up, as if their clients had gone."""
        raise NotImplementedError

    # What gunicorn calls.

    @property
    def alive(self) -> bool:
        """Whether the worker is to go on; gunicorn and its reloader, in a thread, set it False.

        All that ends a worker sets it: OS signals, ``max_requests``, a changed file.
        """
        return self._alive

    @alive.setter
    def alive(self, value: bool) -> None:
        self._alive = value
        if not value:
            self._stop.request(time.monotonic())
            if self._awaken is not None:
                self._awaken()

    def init_signals(self) -> None:
        """Handle OS signals as gunicorn's own workers do, at every moment.

        Not by the event loop: uvloop loses those that come while it does not run yet. And SIGHUP,
        which a terminal that is closed sends to every process, ends no worker before it has closed.
        """
        Worker.init_signals(self)
        signal.signal(signal.SIGHUP, self.handle_exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: SIGTERM or SIGHUP."""
        self._stop.receive(sig, time.monotonic())
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Stop quickly: SIGINT or SIGQUIT. While nothing is open, gunicorn's own way will do."""
        self._stop.receive(sig, time.monotonic())
        if self._awaken is None:
            super().handle_quit(sig, frame)
        elif self.alive:
            self.alive = False
            self.cfg.worker_int(self)

    def notify(self) -> None:
        """Tell the arbiter that this worker is alive; stop if there is no arbiter any more."""
        super().notify()
        if self.alive and os.getppid() != self.ppid:
            self.log.info("The arbiter has gone, shutting down: %s", self)
            self.alive = False

    def init_process(self) -> None:
        """Run the worker; one that fails before it serves ends gunicorn.

        SystemExit is a failure too: gunicorn would start one worker after the other.
        """
        try:
            super().init_process()
        except SystemExit as end:
            if self.booted or not self.alive:
                raise
            self.log.error("The application cannot be loaded: it raised SystemExit(%r)", end.code)
            self._has_failed = True
        except Exception as error:
            if self.booted and not self._has_failed:
                raise
            self._let_one_fail()
            if not self.booted:  # the arbiter says why, and which exit code it is
                raise
            self.log.error("The server cannot start", exc_info=error)
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from error
        if self._has_failed:
            self._let_one_fail()
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR)

    def run(self) -> None:
        """Run the event loop until the worker has stopped."""
        try:
            super().run()
        except SystemExit as end:
            if self.is_serving() or not self.alive:
                raise
            self.log.error("The application ended its startup by SystemExit(%r)", end.code)
            self._has_failed = True
        except RuntimeError:  # what event loops raise that were stopped
            if not self._was_cut:
                raise
        if self._was_cut:
            self.log.warning("The worker ends, although tasks or threads of it do not")

    def _let_one_fail(self) -> None:
        """Return in the first worker that fails; others end without an error, the arbiter stops.

        gunicorn 27.0.1 raises out of its main loop when it finds two such workers, and ends with 1
        and a traceback: arbiter.py:683, ``reap_workers()``, called in ``stop()``.
        """
        if self._first_to_fail.claim():
            return
        deadline = time.monotonic() + HANDOVER
        while self.alive and os.getppid() == self.ppid:
            if time.monotonic() > deadline:
                return
            time.sleep(POLL)
        raise SystemExit(0)

    # What runs in the event loop.

    async def _serve(self) -> None:
        """Start up, serve until told to stop, shut down."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        self._awaken = functools.partial(loop.call_soon_threadsafe, told.set)
        try:
            if not self.alive:  # told while the application was loaded
                return
            lifespan = LifespanDriver(self.application())
            if await self._start_up(lifespan, told):
                serving = asyncio.ensure_future(self.serve(lifespan.state))
                await _first_of(serving, told)
                with self._heartbeat():
                    try:
                        await self._end(serving)
                    finally:
                        await self._shut_down(lifespan)
        finally:
            self._awaken = None
            least, most = FAREWELL
            left = self._stop.end_by - time.monotonic()
            loop.call_later(max(least, min(most, left)), self._cut, loop)

    def _cut(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop *loop*, which waits for ever for tasks that ignore their cancellation."""
        self._was_cut = True
        loop.stop()

    async def _start_up(self, lifespan: LifespanDriver, told: asyncio.Event) -> bool:
        """Return whether the application has started up; if told to stop, it is interrupted."""
        startup = asyncio.ensure_future(lifespan.startup())
        await _first_of(startup, told)
        if not startup.done():
            self.log.info("Told to stop while the application starts up: it is interrupted.")
            startup.cancel()
            await self._finish(startup, "startup")
        if not startup.done() or startup.cancelled():
            return False
        try:
            startup.result()
        except LifespanUnsupportedError as error:
            self._startup_failed(
                f"{error} Its asgi.py takes get_asgi_application from django_asgi_lifespan.asgi "
                f"instead of django.core.asgi."
            )
        except LifespanError as error:
            self._startup_failed(str(error))
        else:
            self.log.info("Application startup complete.")
            return True
        return False

    def _startup_failed(self, reason: str) -> None:
        self.log.error("Application startup failed: %s", reason)
        self._has_failed = True

    async def _end(self, serving: asyncio.Task[None]) -> None:
        """Return when no request is in flight any more; raise what *serving* raises."""
        if serving.done() and not self.is_serving():
            self._has_failed = True
        self.alive = False  # pyright: ignore[reportIncompatibleVariableOverride]
        announce_stopping()
        if not serving.done():
            await self._drain(serving)
        if serving.done() and not serving.cancelled():
            serving.result()

    async def _drain(self, serving: asyncio.Task[None]) -> None:
        """Let *serving* end; when its time has passed, give up what is in flight."""
        also = self.drain(serving)
        ends = {serving} if also is None else {serving, also}
        if await self._until(ends, lambda: self._stop.drain_until):
            return
        given_up = set(self.requests())
        self.log.warning("Giving up what is in flight: %d requests", len(given_up))
        self.disconnect()
        if not await self._until(ends | given_up, _in(GIVING_UP)):
            for task in ends | given_up:
                task.cancel()
            await self._until(ends | given_up, _in(GIVING_UP))

    async def _shut_down(self, lifespan: LifespanDriver) -> None:
        shutdown = asyncio.ensure_future(lifespan.shutdown())
        await self._finish(shutdown, "shutdown")
        if not shutdown.done() or shutdown.cancelled():
            return
        try:
            shutdown.result()
        except LifespanError as error:
            self.log.error("Application shutdown failed: %s", error)
        else:
            self.log.info("Application shutdown complete.")

    async def _finish(self, phase: asyncio.Task[None], name: str) -> None:
        """Return when *phase* of the lifespan has ended, or there is no time left for it."""
        if await self._until({phase}, lambda: self._stop.end_by - GRACE):
            return
        self.log.error(
            "The application's %s is cut short: gunicorn's graceful_timeout of %s s leaves no "
            "more time.",
            name,
            self.cfg.graceful_timeout,
        )
        for _ in range(2):  # the second time says that there is hardly time left
            phase.cancel()
            await asyncio.wait({phase}, timeout=POLL)
        await self._until({phase}, lambda: self._stop.end_by)

    async def _until(
        self, tasks: Collection[asyncio.Future[Any]], limit: Callable[[], float]
    ) -> bool:
        """Wait for *tasks* until the time of *limit*, which may change; return if all ended."""
        pending = {task for task in tasks if not task.done()}
        while pending and (left := limit() - time.monotonic()) > 0:
            _, pending = await asyncio.wait(pending, timeout=min(left, POLL))
        return not pending

    @contextlib.contextmanager
    def _heartbeat(self) -> Generator[None]:
        """Keep the arbiter from taking a worker for hung that is stopping in time.

        In a thread, because code that closes a resource may block the event loop.
        """
        over = threading.Event()

        def beat() -> None:
            while time.monotonic() < self._stop.end_by and not over.wait(POLL):
                self.tmp.notify()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _in(seconds: float) -> Callable[[], float]:
    """Return what returns a time so far from now."""
    limit = time.monotonic() + seconds
    return lambda: limit


async def _first_of(task: asyncio.Future[Any], event: asyncio.Event) -> None:
    """Return when *task* has ended or *event* is set."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


class _FirstToFail:
    """A token that one of the processes that share it can claim."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.write(self._writer, b"x")

    def claim(self) -> bool:
        """Return whether this is the first process to claim it."""
        try:
            return bool(os.read(self._reader, 1))
        except BlockingIOError:
            return False


_first_to_fail = functools.cache(_FirstToFail)
