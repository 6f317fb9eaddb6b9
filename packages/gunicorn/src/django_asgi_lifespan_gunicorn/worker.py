"""The base of both worker classes: the lifespan around the server, and the end of a worker."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import functools
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Generator
from types import FrameType
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from gunicorn.errors import AppImportError
from gunicorn.workers.base import Worker

from django_asgi_lifespan import LifespanError, LifespanUnsupportedError
from django_asgi_lifespan.adapters import (
    DRAIN_SHARE,
    GRACE,
    POLL,
    QUICK_LIMIT,
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    AdaptedLifespan,
    Application,
    LifespanDriver,
    Server,
    exit_despite_threads,
    hold,
    log,
    log_failure,
)

from .stop import WorkerStop

__all__ = ("LifespanWorkerBase",)


class LifespanWorkerBase(Worker, Server):
    """A gunicorn worker that opens the lifespan before it serves and closes it after the last.

    It is itself the `Server` of its stop.

    Attributes:
        drain_share: of the ``graceful_timeout``, the part that requests in flight get. The rest
            is kept for the lifespan's shutdown, which also gets the time that they leave over.
        quick_timeout: seconds that requests in flight get at SIGINT and SIGQUIT. gunicorn
            promises a quick shutdown there, without a number. Its arbiter counts to 2.
        stop: the stop of this worker, or None before its event loop runs.
    """

    drain_share: ClassVar[float] = DRAIN_SHARE
    quick_timeout: ClassVar[float] = QUICK_LIMIT

    def __init__(self, *args: Any, **options: Any) -> None:
        self.stop: WorkerStop | None = None
        self._alive = True
        self._is_loading = False
        self._startup: asyncio.Future[None] | None = None
        self._serving: asyncio.Future[None] | None = None
        self._failure = 0
        self._was_cut = False
        self._token = _token()  # made in the arbiter, for all of its workers
        super().__init__(*args, **options)

    # The methods that the worker classes add, with those of `Server`.

    @abc.abstractmethod
    def application(self) -> Application:
        """Return the application, for its lifespan."""

    @abc.abstractmethod
    async def serve(self, state: dict[str, Any]) -> None:
        """Serve requests, each with a copy of *state*, until told to stop, and those in flight."""

    @abc.abstractmethod
    def is_serving(self) -> bool:
        """Return whether clients can connect, or could."""

    def is_starting(self) -> bool:
        """Return whether the startup of the application goes on."""
        return self._startup is not None and not self._startup.done()

    def interrupt_startup(self) -> None:
        """Cancel the startup, which closes the resources that are open."""
        if self._startup is not None:
            self._startup.cancel()

    def abandon(self) -> None:
        """Leave the requests: the worker waits no longer than its stop."""

    # For the adapter.

    @contextlib.contextmanager
    def held_for(self, lifespan: AdaptedLifespan) -> Generator[None]:
        """Let *lifespan* learn of the stop."""
        with hold(self):
            if self.stop is not None:
                self.stop.lifespan = lifespan
            yield

    def announce_stopping(self) -> None:
        """Let the project know that the worker has begun to stop, as ``stop`` does a bit later."""
        if self.stop is not None and self.stop.lifespan is not None:
            self.stop.lifespan.announce_stopping()

    # The methods that gunicorn calls.

    @property
    def alive(self) -> bool:
        """Whether the worker is to go on. gunicorn and its reloader, in a thread, set it False.

        Everything that ends a worker sets it: OS signals, ``max_requests``, a changed file.
        """
        return self._alive

    @alive.setter
    def alive(self, value: bool) -> None:
        self._alive = value
        if not value and self.stop is not None:
            self.stop.request()

    def init_signals(self) -> None:
        """Handle OS signals as gunicorn's own workers do, at every moment.

        Not by the event loop: uvloop loses those that come while it does not run yet. And SIGHUP,
        which a terminal that is closed sends to every process, ends no worker before it has closed.
        Until here, the arbiter's handler put them into the child's copy of its queue
        (``Arbiter.signal()``, gunicorn/arbiter.py:237).
        """
        arbiter = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        Worker.init_signals(self)
        signal.signal(signal.SIGHUP, self.handle_exit)
        if isinstance(arbiter, Arbiter):
            with contextlib.suppress(AttributeError, queue.Empty):  # gunicorn 23 has a list
                while True:
                    number = arbiter.SIG_QUEUE.get_nowait()
                    if number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                        signal.raise_signal(number)

    def load_wsgi(self) -> None:
        """Load the application, unless told to stop. SIGINT and SIGQUIT interrupt an import."""
        self._is_loading = True
        try:
            if not self.alive:
                raise SystemExit(0)
            super().load_wsgi()
        finally:
            self._is_loading = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: SIGTERM or SIGHUP."""
        if self.stop is not None:
            self.stop.receive(sig)
            if not self.stop.has_begun:  # it is delayed
                return
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Stop quickly: SIGINT or SIGQUIT. Only an import is interrupted, by SystemExit."""
        if self.stop is not None:
            self.stop.receive(sig)
        if self._is_loading:
            super().handle_quit(sig, frame)
        elif self.alive:
            self.alive = False
            self.cfg.worker_int(self)

    def notify(self) -> None:
        """Tell the arbiter that this worker is alive. Stop if there is no arbiter any more."""
        super().notify()
        if self.alive and os.getppid() != self.ppid:
            self.log.info("The arbiter has gone, shutting down: %s", self)
            self.alive = False

    def init_process(self) -> None:
        """Run the worker. One that fails before it serves ends gunicorn.

        SystemExit is a failure too: gunicorn would start one worker after the other.
        """
        try:
            super().init_process()
        except SystemExit as end:
            if self.booted or not self.alive:
                raise
            message = "The application cannot be loaded: it raised SystemExit(%r) [lifespan-exit]"
            self._error(message, end.code)
            self._failure = STARTUP_FAILURE
        except Exception as error:
            if not self.alive and not self.booted:  # interrupted, perhaps within a lock
                raise SystemExit(0) from error
            if not self.booted:  # the arbiter logs the reason
                cannot_import = isinstance(error, AppImportError)
                self._fail(Arbiter.APP_LOAD_ERROR if cannot_import else STARTUP_FAILURE)
                raise
            if not self._failure:
                raise
            self._error("The server cannot start [lifespan-server]", exc_info=error)
        if self._failure:
            self._fail(self._failure)
            raise SystemExit(self._failure)

    def run(self) -> None:
        """Run the event loop until the worker has stopped."""
        try:
            super().run()
        except SystemExit as end:
            if self.is_serving() or not self.alive:
                raise
            message = "The application ended its startup by SystemExit(%r) [lifespan-exit]"
            self._error(message, end.code)
            self._failure = STARTUP_FAILURE
        except RuntimeError:  # event loops raise it when they were stopped
            if not self._was_cut:
                raise
        if self._was_cut:
            self.log.warning(
                "The worker ends, although tasks or threads of it do not [lifespan-left-tasks]"
            )

    def _fail(self, code: int) -> None:
        """Let this process end with *code*, even if threads are left.

        Of the workers that cannot start, the first alone returns. The others end without an error
        when the arbiter stops them: gunicorn 27.0.1 raises out of its main loop when it finds two
        such workers, and ends with 1 and a traceback (``reap_workers()`` called in ``stop()``,
        gunicorn/arbiter.py:683).
        """
        if code == SHUTDOWN_FAILURE or os.read(self._token, 1):
            exit_despite_threads(self.log.error_log, code=code)
            return
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while self.alive and os.getppid() == self.ppid and time.monotonic() < deadline:
            time.sleep(POLL)
        code = code if time.monotonic() >= deadline else 0
        exit_despite_threads(self.log.error_log, after=GRACE, code=code)
        if not code:
            raise SystemExit(0)

    def _error(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log an error, although the project may have disabled the loggers of gunicorn."""
        log(self.log.error_log, logging.ERROR, message, *args, exc_info=exc_info)

    # The coroutines that run in the event loop.

    async def _serve(self) -> None:
        """Start up, serve until told to stop, shut down."""
        loop = asyncio.get_running_loop()
        stop = self.stop = WorkerStop(self, self)
        stopping = asyncio.ensure_future(stop.run())
        try:
            if self.alive:  # not told while the application was loaded
                await self._live(stop, stopping)
        finally:
            stopping.cancel()
            left = stop.deadlines.end_by - time.monotonic()
            loop.call_later(max(POLL, min(GRACE, left)), self._cut, loop)

    def _cut(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop *loop*, which waits for ever for tasks that ignore their cancellation."""
        self._was_cut = True
        loop.stop()

    async def _live(self, stop: WorkerStop, stopping: asyncio.Future[None]) -> None:
        lifespan = LifespanDriver(self.application())
        if not await self._start_up(stop, lifespan):
            return
        if not stop.has_begun:
            self._serving = asyncio.ensure_future(self.serve(lifespan.state))
            begun = asyncio.ensure_future(stop.begun.wait())
            await asyncio.wait({self._serving, begun}, return_when=asyncio.FIRST_COMPLETED)
        with self._heartbeat(stop):
            try:
                if self._serving is not None:
                    await self._end(stop, self._serving, stopping)
            finally:
                await self._shut_down(stop, lifespan)

    async def _start_up(self, stop: WorkerStop, lifespan: LifespanDriver) -> bool:
        """Return whether the application has started up. The stop may interrupt it."""
        startup = self._startup = asyncio.ensure_future(lifespan.startup())
        await self._finish(stop, startup, "startup")
        if not startup.done() or startup.cancelled():
            return False
        try:
            startup.result()
        except LifespanError as error:
            log_failure(self.log.error_log, "Application startup failed: %s", error)
            if isinstance(error, LifespanUnsupportedError):
                self._error(
                    "Does asgi.py import from django_asgi_lifespan.asgi? [lifespan-unsupported]"
                )
            self._failure = STARTUP_FAILURE
            return False
        self.log.info("Application startup complete.")
        return True

    async def _end(
        self, stop: WorkerStop, serving: asyncio.Future[None], stopping: asyncio.Future[None]
    ) -> None:
        """Return when *serving* has ended, or is waited for no more. Raise what it raises."""
        if serving.done() and not self.is_serving():
            self._failure = STARTUP_FAILURE
        self.alive = False  # pyright: ignore[reportIncompatibleVariableOverride]
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            serving.cancel()
            await asyncio.wait({serving}, timeout=GRACE)
        if serving.done() and not serving.cancelled():
            serving.result()

    async def _shut_down(self, stop: WorkerStop, lifespan: LifespanDriver) -> None:
        shutdown = asyncio.ensure_future(lifespan.shutdown())
        await self._finish(stop, shutdown, "shutdown")
        if shutdown.done() and not shutdown.cancelled():
            try:
                shutdown.result()
            except LifespanError as error:
                log_failure(self.log.error_log, "Application shutdown failed: %s", error)
            else:
                self.log.info("Application shutdown complete.")
                return
        self._failure = self._failure or SHUTDOWN_FAILURE

    async def _finish(self, stop: WorkerStop, phase: asyncio.Future[None], name: str) -> None:
        """Return when *phase* of the lifespan has ended, or there is no time left for it."""
        cuts = 2  # the second time says that there is hardly time left
        while not phase.done() and (now := time.monotonic()) < stop.deadlines.end_by:
            if cuts and now >= stop.deadlines.cut_at:
                if cuts == 2:
                    self._error(
                        "The application's %s is cut short: gunicorn's graceful_timeout of %s s "
                        "leaves no more time. [lifespan-cut-short]",
                        name,
                        self.cfg.graceful_timeout,
                    )
                phase.cancel()
                cuts -= 1
            await asyncio.wait({phase}, timeout=POLL)

    @contextlib.contextmanager
    def _heartbeat(self, stop: WorkerStop) -> Generator[None]:
        """Keep the arbiter from taking a worker for hung that is stopping in time.

        In a thread, because code that closes a resource may block the event loop.
        """
        over = threading.Event()

        def beat() -> None:
            while time.monotonic() < stop.deadlines.end_by and not over.wait(POLL):
                self.tmp.notify()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@functools.cache
def _token() -> int:
    """Return a pipe with one byte, which one of the processes that share the pipe can read."""
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.close(writer)
    return reader
