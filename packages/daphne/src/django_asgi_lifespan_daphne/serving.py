"""A server of daphne with a lifespan around it, all in daphne's own event loop.

What is used of daphne beside its documentation (``tests/seams.py`` compares the installed
release with 4.2.3): of its ``Server``, ``application``, of which ``create_application()`` keeps the
result, by way of ``asyncio.ensure_future()``, in ``connections`` (server.py:224),
``signal_handlers``, ``application_close_timeout``, ``application_checker()``, which logs what has
failed (server.py:268), and ``abort_start``, at which the command exits with 1 (cli.py:310);
``WebRequest.transport``; ``WebSocketProtocol.sendCloseFrame()``, called in ws_protocol.py:220.
"""

# daphne has no types, and Twisted not all:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

from daphne.http_protocol import WebRequest
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IListeningPort

from django_asgi_lifespan import LifespanError, LifespanUnsupportedError
from django_asgi_lifespan.conf import lifespan_settings
from django_asgi_lifespan.driver import Application, LifespanDriver
from django_asgi_lifespan.process import SAME_STOP, SHUTDOWN_FAILURE, STARTUP_FAILURE
from django_asgi_lifespan.protocol import Receive, Scope, Send
from django_asgi_lifespan.sockets import SERVICE_RESTART
from django_asgi_lifespan.state import announce_stopping

__all__ = (
    "ServedApplication",
    "ShieldedApplication",
    "made",
    "reactor",
)

logger = logging.getLogger("django_asgi_lifespan")

GRACE = 1.0
"""Seconds that requests have to end, when they were given up, while every resource still works."""

reactor: Any = installed_reactor
"""The reactor that daphne runs."""

MARGIN = 10.0
"""Seconds beside the shutdown's own limit for requests in flight, and for what will not end."""

POLL = 0.05
"""Seconds between two looks at what is in flight, while the server stops."""

_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP", "SIGQUIT")

made: list[Application] = []
"""The applications with a lifespan that this process has made, the outermost last."""


def _do_nothing() -> None:
    """Stand for what there is nothing to do for."""


class ServedApplication:
    """The application of a server of daphne, served inside of its lifespan.

    Requests wait for the startup, and get a copy of the state. When the server stops, those in
    flight are let end, before the lifespan shuts down, and only then the reactor.

    Args:
        server: gets this object as its application.
        is_ready: called when the application has started up.
        reload_patience: seconds that requests in flight get in another thread than the main one,
            where a reloader waits for the end. Else it is daphne's ``application_close_timeout``.

    Attributes:
        is_draining: whether requests in flight are let end.
        exit_code: what the process should end with: 0, 3 without a startup, 1 where the shutdown
            failed.
    """

    def __init__(
        self,
        server: Server,
        *,
        is_ready: Callable[[], None] = _do_nothing,
        reload_patience: float = 0.0,
    ) -> None:
        self.exit_code = 0
        self._server: Any = server
        self._is_ready = is_ready
        self._application: Application = server.application
        self._lifespan = LifespanDriver(self._application)
        self._startup: asyncio.Task[None] | None = None
        self._is_open = asyncio.Event()
        self._is_hurried = False
        self._patience: float = server.application_close_timeout
        self._reload_patience = reload_patience
        self._told_at: float | None = None
        self.is_draining = False
        self._is_over = threading.Event()
        server.application = self

    def begin(self) -> None:
        """Start up, as soon as the event loop runs; daphne has set it by now."""
        if threading.current_thread() is not threading.main_thread():
            self._end_with_main_thread()
        elif self._server.signal_handlers:
            self._handle_signals()
        self._startup = asyncio.get_event_loop().create_task(self._start())

    def end(self) -> Deferred[None]:
        """Begin to stop, whatever daphne cancels; return what fires when everything is closed."""
        self.is_draining = True
        announce_stopping()
        return Deferred.fromFuture(asyncio.ensure_future(self._end()))

    # Requests.

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one scope, when the application has started up."""
        return self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_open.is_set():
            await self._is_open.wait()
        scope["state"] = self._lifespan.state.copy()
        await self._application(scope, receive, send)

    def _requests(self) -> set[asyncio.Future[None]]:
        """Return what daphne knows of requests that have not ended."""
        details = self._server.connections.values()
        found = (each["application_instance"] for each in details if "application_instance" in each)
        return {request for request in found if not request.done()}

    # The course of things.

    async def _start(self) -> None:
        try:
            await self._start_up()
        except LifespanError as error:
            logger.error("Application startup failed: %s", error)
            self.exit_code = STARTUP_FAILURE
            self._server.abort_start = True
            _stop_reactor()
        else:
            self._is_open.set()
            self._is_ready()

    async def _start_up(self) -> None:
        """Return when the application has started up, or the part of it that has a lifespan."""
        try:
            await self._lifespan.startup()
        except LifespanUnsupportedError as error:
            if made and made[-1] is not self._application:
                self._lifespan = LifespanDriver(made[-1])
                await self._lifespan.startup()
                return
            raise LifespanUnsupportedError(
                f"{error} Its asgi.py takes get_asgi_application from django_asgi_lifespan.asgi "
                f"instead of django.core.asgi."
            ) from error

    async def _end(self) -> None:
        try:
            if self._startup is not None:
                await self._interrupt(self._startup)
            if self._is_open.is_set():
                try:
                    await self._drain()
                except Exception as error:  # of daphne or Twisted: close what is open all the same
                    logger.error("The requests in flight could not be ended", exc_info=error)
                self._is_open.clear()
                await self._shut_down()
        finally:
            await self._cancel_requests()  # which came too early, or too late
            self._is_over.set()

    async def _interrupt(self, startup: asyncio.Task[None]) -> None:
        if not startup.done():
            logger.info("Told to stop while the application starts up: it is interrupted.")
            startup.cancel()
            await asyncio.wait({startup})

    async def _drain(self) -> None:
        """Return when no request is in flight any more, or none that could be stopped."""
        self._stop_listening()
        self._close_websockets()
        requests = self._requests()
        if requests and self._patience:
            logger.info(
                "Waiting at most %g s for requests in flight: %d.", self._patience, len(requests)
            )
        await self._wait_for_requests(self._patience)
        self._is_hurried = False
        if requests := self._requests():
            await self._give_up(len(requests))
        self._server.application_checker()  # it logs what has failed, once a second

    async def _give_up(self, number: int) -> None:
        logger.warning("Giving up requests in flight: %d.", number)
        # From Django 5.0 to 6.0, its handler cancels a view only when the client has gone.
        for connection in list(self._server.connections):
            if isinstance(connection, WebRequest):
                transport: Any = connection.transport
                if transport is not None:  # else a WebSocket has it
                    transport.abortConnection()
        await self._wait_for_requests(GRACE)
        await self._cancel_requests()

    async def _shut_down(self) -> None:
        try:
            await self._lifespan.shutdown()
        except LifespanError as error:
            logger.error("Application shutdown failed: %s", error)
            self.exit_code = SHUTDOWN_FAILURE

    async def _cancel_requests(self) -> None:
        self.is_draining = False
        for request in self._requests():
            request.cancel()
        await self._wait_for_requests(GRACE)

    async def _wait_for_requests(self, seconds: float) -> None:
        """Return when none is in flight, or so many seconds later, or when they are given up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (requests := self._requests()) and not self._is_hurried:
            left = end - loop.time()
            if left <= 0:
                break
            await asyncio.wait(requests, timeout=min(left, POLL))

    def _stop_listening(self) -> None:
        for reader in reactor.getReaders():
            if IListeningPort.providedBy(reader):
                reader.stopListening()

    def _close_websockets(self) -> None:
        """Tell the clients that the server restarts; their handlers get a disconnect.

        ``websocket.close`` will not do: autobahn, behind daphne, refuses the code 1012 there
        (``WebSocketProtocol.sendClose``, autobahn/websocket/protocol.py:2323 in 26.10.2).
        """
        for connection in self._server.connections:
            is_websocket = isinstance(connection, WebSocketProtocol)
            if is_websocket and connection.state == WebSocketProtocol.STATE_OPEN:
                connection.sendCloseFrame(SERVICE_RESTART, b"The server restarts.")

    # What stops the process.

    def _handle_signals(self) -> None:
        """Take over from Twisted, and handle what else would kill the process."""
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                handler = signal.getsignal(number)
                if handler is signal.SIG_DFL or getattr(handler, "__self__", None) is reactor:
                    signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(self._told, number, time.monotonic())

    def _told(self, number: int, now: float) -> None:
        if self._told_at is None:
            self._told_at = now
            _stop_reactor()
        elif number == signal.SIGINT and now - self._told_at >= SAME_STOP:
            self._is_hurried = True

    def _end_with_main_thread(self) -> None:
        """Stop when the main thread ends: nobody else tells a server that Django reloads."""
        self._patience = self._reload_patience
        # A function of ``atexit`` would come too late: by then no executor takes any work, and
        # what closes a resource in a thread would fail.
        getattr(threading, "_register_atexit", atexit.register)(self._stop_and_wait)

    def _stop_and_wait(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # it is ending already
            signal.signal(number, signal.SIG_IGN)
        limit = lifespan_settings().shutdown_timeout
        reactor.callFromThread(_stop_reactor)
        self._is_over.wait(None if limit is None else limit + MARGIN)


class ShieldedApplication(ServedApplication):
    """The same under a server of daphne's own class, which cancels all requests when it stops."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> asyncio.Future[None]:
        """Return the future of a request; daphne would make a task of a coroutine."""
        request = asyncio.ensure_future(self._serve(scope, receive, send))
        answer = _Answer(self, request)
        request.add_done_callback(answer.request_ended)
        return answer


class _Answer(asyncio.Future[None]):
    """Stands for a request, which daphne may cancel when its client has gone, not when it stops."""

    def __init__(self, served: ServedApplication, request: asyncio.Task[None]) -> None:
        super().__init__(loop=request.get_loop())
        self._served = served
        self._request = request

    def cancel(self, msg: Any = None) -> bool:
        return not self._served.is_draining and self._request.cancel(msg)

    def request_ended(self, request: asyncio.Task[None]) -> None:
        if request.cancelled():
            super().cancel()
        elif (error := request.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(None)


def _stop_reactor() -> None:
    with contextlib.suppress(ReactorNotRunning):  # it was told before
        reactor.stop()
