"""The stop of a server, the same under every one.

Requests have as many seconds as the server's own option gives them. In the last second their
clients are disconnected and the requests cancelled, while every resource still works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Generator
from types import FrameType
from typing import TYPE_CHECKING, Any

from django_asgi_lifespan.last_resort import log

from .deadlines import Deadlines
from .limits import DRAIN_SHARE, POLL, SAME_STOP, SAY_AFTER
from .process import watch_supervisor
from .server import AdaptedLifespan, Server, hold, is_held

if TYPE_CHECKING:
    from .delay import DrainDelay

__all__ = ("DRAIN_SHARE", "AdaptedLifespan", "Deadlines", "Server", "Stop", "hold", "is_held")


class Stop:
    """The stop of one server: it begins at an OS signal, and lets requests end before the lifespan.

    Make it in the event loop. ``receive`` and ``request`` begin the stop, ``run()`` does it.

    Args:
        server: the methods through which the server is stopped.
        deadlines: how long requests have.
        option: the option of the server that sets the limit, for the log.
        logger: one that the log configuration of the server shows.
        delays: whether SIGTERM waits for the drain delay of the settings.
        clock: returns seconds. It is also called in handlers of OS signals, where the clock of
            an event loop may be late.

    Attributes:
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
        delays: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deadlines = deadlines
        self._server = server
        self._option = option
        self._logger = logger
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self._is_hurried = False
        self._delays = delays
        self._delay: DrainDelay | None = None
        self.lifespan = lifespan

    @property
    def lifespan(self) -> AdaptedLifespan | None:
        """The one that is told of the stop. An adapter may set it later."""
        return self._lifespan

    @lifespan.setter
    def lifespan(self, lifespan: AdaptedLifespan | None) -> None:
        self._lifespan = lifespan
        if lifespan is not None and lifespan.drain_delay and self._delays:
            from .delay import DrainDelay

            self._delay = DrainDelay(self, lifespan, self._option, self._logger)

    @property
    def has_begun(self) -> bool:
        return self.deadlines.begun_at is not None

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Handle an OS signal: the first begins the stop, a later SIGINT gives requests up.

        SIGINT within half a second is part of the same stop. SIGTERM may wait for a drain delay.
        """
        now = self._clock()
        begun_at = self.deadlines.begun_at
        if begun_at is None:
            delay = None if self._server.is_starting() else self._delay
            if delay is None or not delay.holds_back(number, now):
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
        begun_at = self.deadlines.begun_at or 0.0
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
            elif requests and not has_said and now >= begun_at + SAY_AFTER:
                has_said = True
                self._say_that_it_waits(len(requests))
            await self._wait(requests, now)

    def _is_held_up(self) -> bool:
        """Return whether the server has not begun the shutdown of the lifespan."""
        return self.lifespan is not None and self.lifespan.phase == "running"

    def _say_that_it_waits(self, number: int) -> None:
        limit = self.deadlines.limit
        if limit is None:
            message = "Waiting without a limit for requests in flight: %d (set one with %s)."
            log(self._logger, logging.INFO, message, number, self._option)
        else:
            message = "Waiting at most %g s for requests in flight: %d (%s)."
            log(self._logger, logging.INFO, message, limit, number, self._option)

    async def _wait(self, requests: Collection[asyncio.Task[Any]], now: float) -> None:
        """Return when a request has ended, a deadline is due, or it is time for another look."""
        each = self.deadlines
        due = (each.disconnect_at, each.cancel_at, each.abandon_at)
        seconds = min([POLL, *(at - now for at in due if at > now)])
        if requests:
            await asyncio.wait(requests, timeout=seconds)
        else:
            await asyncio.sleep(seconds)
