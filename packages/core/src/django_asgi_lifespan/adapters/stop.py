"""The stop of a server, the same under every one, and the only time constants of it.

Requests have as many seconds as the server's own option gives them. In the last second their
clients are disconnected and the requests cancelled, while every resource still works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from django_asgi_lifespan.last_resort import log

from .process import watch_supervisor

if TYPE_CHECKING:
    from django_asgi_lifespan.protocol import Receive

__all__ = (
    "DEFAULT_LIMIT",
    "DRAIN_SHARE",
    "GRACE",
    "KILL_LIMIT",
    "POLL",
    "QUICK_LIMIT",
    "RELOAD_LIMIT",
    "AdaptedLifespan",
    "Deadlines",
    "Server",
    "Stop",
    "hold",
    "is_held",
)

DEFAULT_LIMIT = 10
"""Seconds that requests have by default, where the server itself has no limit.

With the 20 that the shutdown has, they are the 30 after which Kubernetes kills by default.
"""

KILL_LIMIT = 30
"""Those 30 seconds, where a parent process kills and has no limit by itself."""

QUICK_LIMIT = 3.0
"""Seconds that requests have where the OS signal asks for a quick stop."""

RELOAD_LIMIT = 1
"""Seconds that requests have while developing: nobody wants to wait for a stream at a reload."""

GRACE = 1.0
"""Seconds that requests have to end after they were given up, the last of their limit.

After the first half their tasks are cancelled.
"""

SAME_STOP = 0.5
"""Seconds in which further OS signals tell of the same stop, not of more haste.

A program that runs the server sends it SIGTERM at Ctrl+C, while the terminal sends SIGINT.
"""

DRAIN_SHARE = 0.6
"""The part that requests get where the parent process kills a worker. The shutdown gets the rest.

Requests that end sooner leave their part to the shutdown.
"""

LAST_WORK = 1.0
"""Seconds that a lifespan which is cancelled twice still takes, at most."""

KILL_MARGIN = 0.1
"""The part of that time, one second at most, that is left for the end of the process itself."""

POLL = 0.05
"""Seconds between two looks at the requests in flight, while the server stops."""

SAY_AFTER = 0.5
"""Seconds after which the log tells that the stop waits for requests.

Many end sooner, and a request that was answered just now would look like a leak.
"""


class AdaptedLifespan(Protocol):
    """One lifespan of the project, as an adapter sees it.

    Attributes:
        receive: the callable that the server passed with the lifespan scope, or None where no
            server did, as in ``run_lifespan()``. Do not rely on its type: applications in front
            wrap it.
        is_adapted: whether an adapter has returned a context manager for this lifespan.
        shutdown_failed: whether something could not be closed. An application in front may not
            tell the server so.
    """

    receive: Receive | None
    is_adapted: bool
    shutdown_failed: bool

    @property
    def phase(self) -> str:
        """``"running"`` from the end of the startup until the server begins the shutdown."""
        ...

    def announce_stopping(self) -> object:
        """Let the project know that the server has begun to stop. The first call counts."""
        ...

    def close_websockets(self) -> Coroutine[Any, Any, None]:
        """Close the open WebSockets with 1012, and wait a second at most for their handlers."""
        ...


class Server(Protocol):
    """The server of this process, as its stop needs to know it."""

    def is_starting(self) -> bool:
        """Return whether the startup of the application goes on."""
        ...

    def interrupt_startup(self) -> None:
        """Cancel the startup, which closes the resources that are open."""
        ...

    def stop_listening(self) -> None:
        """Begin the server's own graceful stop: no new connection is accepted."""
        ...

    def requests(self) -> Collection[asyncio.Task[Any]]:
        """Return the tasks of the requests in flight."""
        ...

    def disconnect(self) -> None:
        """Cut off the clients, and let the requests in flight learn that they have gone."""
        ...

    def abandon(self) -> None:
        """Let the lifespan shut down although the server still waits.

        Requests may be left that cannot be cancelled, or a client that has sent half a request.
        """
        ...


_held: list[object] = []


@contextlib.contextmanager
def hold(server: object) -> Generator[None]:
    """Hold *server* for one lifespan, so that an adapter does not find it for a second one."""
    _held.append(server)
    try:
        yield
    finally:
        _held.remove(server)


def is_held(server: object) -> bool:
    """Return whether a lifespan holds *server*."""
    return any(held is server for held in _held)


class Deadlines:
    """When requests are given up, and when nobody waits for them any more, in seconds of a clock.

    A deadline only moves closer.

    Args:
        limit: seconds that requests have from the begin of the stop on, or None for no limit.

    Attributes:
        begun_at: when the stop began, or None before.
        disconnect_at: when the clients of the requests left are disconnected.
        abandon_at: when the requests left are waited for no more.
        end_by: when the lifespan has to have ended, because the parent process kills then.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._kill_after = math.inf
        self.begun_at: float | None = None
        self.disconnect_at = math.inf
        self.abandon_at = math.inf
        self.end_by = math.inf

    @classmethod
    def before_kill(cls, seconds: float, *, share: float = DRAIN_SHARE) -> Deadlines:
        """Return those of a process that its parent kills so many *seconds* after the begin.

        Args:
            share: the part of them that requests have.
        """
        deadlines = cls(seconds * share)
        deadlines._kill_after = seconds
        return deadlines

    @property
    def cancel_at(self) -> float:
        """When the tasks of the requests left are cancelled."""
        return (self.disconnect_at + self.abandon_at) / 2

    @property
    def cut_at(self) -> float:
        """When a startup or shutdown that goes on is cancelled, so that it ends in time."""
        return self.end_by - LAST_WORK

    @property
    def limit(self) -> float | None:
        """Seconds that requests have, or had, since the begin of the stop, or None without a limit.

        It shrinks with the deadlines.
        """
        if self.begun_at is None or self.abandon_at == math.inf:
            return self._limit
        return self.abandon_at - self.begun_at

    def begin(self, now: float) -> None:
        """Begin to count, the first time."""
        if self.begun_at is None:
            self.begun_at = now
            if self._limit is not None:
                self.shorten(now, self._limit)
            self.kill(now, self._kill_after)

    def shorten(self, now: float, seconds: float) -> None:
        """Give requests so many *seconds* from now on, unless they have less.

        Those that get none at all still have the second after they were given up.
        """
        grace = min(GRACE, seconds / 2) or GRACE
        self.disconnect_at = min(self.disconnect_at, now + max(0.0, seconds - grace))
        self.abandon_at = min(self.abandon_at, now + max(grace, seconds))

    def hurry(self, now: float) -> None:
        """Give requests up now."""
        self.shorten(now, 0.0)

    def kill(self, now: float, seconds: float) -> None:
        """Take note that the parent process kills this one so many *seconds* from now."""
        self.end_by = min(self.end_by, now + seconds - min(1.0, seconds * KILL_MARGIN))


class Stop:
    """The stop of one server: it begins at an OS signal, and lets requests end before the lifespan.

    Make it in the event loop. ``receive`` and ``request`` begin the stop, ``run()`` does it.

    Args:
        server: the methods through which the server is stopped.
        deadlines: how long requests have.
        option: the option of the server that sets the limit, for the log.
        logger: one that the log configuration of the server shows.
        clock: returns seconds. It is also called in handlers of OS signals, where the clock of
            an event loop may be late.

    Attributes:
        lifespan: the one that is told of the stop. An adapter may set it later.
        has_begun: whether the server was told to stop.
        begun: is set soon after that in the event loop, for code that waits for the stop.
    """

    def __init__(
        self,
        server: Server,
        deadlines: Deadlines,
        *,
        option: str,
        logger: logging.Logger,
        lifespan: AdaptedLifespan | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lifespan = lifespan
        self.deadlines = deadlines
        self._server = server
        self._option = option
        self._logger = logger
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self._is_hurried = False

    @property
    def has_begun(self) -> bool:
        return self.deadlines.begun_at is not None

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Handle an OS signal: the first begins the stop, a later SIGINT gives requests up.

        SIGINT within half a second is part of the same stop.
        """
        now = self._clock()
        begun_at = self.deadlines.begun_at
        if begun_at is None:
            self.request()
        elif number == signal.SIGINT and now - begun_at >= SAME_STOP:
            self.hurry()

    def request(self) -> None:
        """Begin the stop, the first time. Call it in any thread."""
        self.deadlines.begin(self._clock())
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self.begun.set)

    def hurry(self) -> None:
        """Give requests up, and interrupt a startup once more. Call it in any thread."""
        self.deadlines.hurry(self._clock())
        self._is_hurried = True

    @contextlib.contextmanager
    def beside(self, server: object, *watches: Awaitable[object]) -> Generator[None]:
        """Hold *server*, and run this stop beside it. It begins when the supervisor ends, too.

        Args:
            watches: run in tasks, too, and are cancelled at the end.
        """
        with contextlib.ExitStack() as rest:
            rest.enter_context(hold(server))
            rest.enter_context(watch_supervisor(self._logger, self.request))
            for each in (self.run(), *watches):
                rest.callback(asyncio.ensure_future(each).cancel)
            yield

    async def run(self, *, until_idle: bool = False) -> None:
        """Wait for the begin of the stop, do it, and return when requests are waited for no more.

        WebSockets are closed while the server still listens, because granian cuts them off when it
        stops. Applications refuse new ones from the announcement on.

        Args:
            until_idle: return as soon as no request is in flight. Without it, requests that begin
                late are seen to until the limit. Cancel the call when the lifespan has ended.
        """
        await self.begun.wait()
        if self._server.is_starting():
            await self._interrupt_startup()
        if self.lifespan is not None:
            self.lifespan.announce_stopping()
            await self.lifespan.close_websockets()
        self._server.stop_listening()
        await self._drain(until_idle=until_idle)

    async def _interrupt_startup(self) -> None:
        """Return when the startup has ended. A hurried stop interrupts it once more."""
        message = "Told to stop while the application starts up: it is interrupted."
        log(self._logger, logging.INFO, message)
        self._server.interrupt_startup()
        while self._server.is_starting():
            if self._is_hurried:
                self._is_hurried = False
                self._server.interrupt_startup()
            await asyncio.sleep(POLL)

    async def _drain(self, *, until_idle: bool) -> None:
        """Wait for the requests in flight, and give up those that are left at their deadline."""
        told: set[asyncio.Task[Any]] = set()
        cancelled: set[asyncio.Task[Any]] = set()
        has_said = has_disconnected = False
        while (requests := set(self._server.requests())) or not until_idle:
            now = self._clock()
            if now >= self.deadlines.abandon_at:
                if requests or self._is_held_up():
                    self._server.abandon()
                return
            if now >= self.deadlines.disconnect_at:
                if new := requests - told:
                    message = "Giving up requests in flight: %d."
                    log(self._logger, logging.WARNING, message, len(new))
                if new or not has_disconnected:  # a client that does not read its response
                    self._server.disconnect()
                    has_disconnected = True
                told |= requests
                if now >= self.deadlines.cancel_at:
                    for request in requests - cancelled:
                        request.cancel()
                    cancelled |= requests
            elif requests and not has_said and now >= self._begun_at() + SAY_AFTER:
                has_said = True
                self._say_that_it_waits(len(requests))
            await self._wait(requests, now)

    def _is_held_up(self) -> bool:
        """Return whether the server has not begun the shutdown of the lifespan."""
        return self.lifespan is not None and self.lifespan.phase == "running"

    def _say_that_it_waits(self, number: int) -> None:
        limit = self.deadlines.limit
        if limit is None:
            log(
                self._logger,
                logging.INFO,
                "Waiting without a limit for requests in flight: %d (set one with %s).",
                number,
                self._option,
            )
        else:
            log(
                self._logger,
                logging.INFO,
                "Waiting at most %g s for requests in flight: %d (%s).",
                limit,
                number,
                self._option,
            )

    def _begun_at(self) -> float:
        return self.deadlines.begun_at or 0.0

    async def _wait(self, requests: Collection[asyncio.Task[Any]], now: float) -> None:
        """Return when a request has ended, a deadline is due, or it is time for another look."""
        deadlines = (
            self.deadlines.disconnect_at,
            self.deadlines.cancel_at,
            self.deadlines.abandon_at,
        )
        seconds = min([POLL, *(each - now for each in deadlines if each > now)])
        if requests:
            await asyncio.wait(requests, timeout=seconds)
        else:
            await asyncio.sleep(seconds)
