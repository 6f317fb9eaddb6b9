"""The stop of daphne's server, and the lifespan of its application, all in daphne's event loop.

The server is found when the reactor of this process begins to run: ``Server.run()`` stands on the
stack (daphne/server.py:155 in 4.2.3). The private parts of daphne, Twisted and autobahn on which
this module relies stand in ``tests/seams.py``.
"""

# daphne has no types, and Twisted not all:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from daphne.cli import CommandLineInterface
from daphne.http_protocol import WebRequest
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ReactorNotRunning
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from django_asgi_lifespan import LifespanError, LifespanUnsupportedError
from django_asgi_lifespan.adapters import (
    SERVICE_RESTART,
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    Application,
    Deadlines,
    LifespanDriver,
    Message,
    Receive,
    Scope,
    Send,
    Stop,
    exit_despite_threads,
    handle_os_signals,
    in_main_thread,
    log,
    log_failure,
    stop_in_thread,
    stop_signals,
    variables_on_stack,
)

from .hooks import applications

__all__ = ("ServedApplication", "current", "reactor", "watch_reactor")

logger = logging.getLogger("django_asgi_lifespan")

reactor: Any = installed_reactor
"""The reactor that daphne runs."""

_served: list[ServedApplication] = []


def current() -> ServedApplication | None:
    """Return the application that daphne has begun to serve in this process, if there is one."""
    return _served[-1] if _served else None


def watch_reactor() -> None:
    """Give daphne a lifespan as soon as it runs the reactor of this process, if it ever does."""
    if not _watches and not reactor.running:
        watch = _Watch()
        _watches.append(watch)
        reactor.callWhenRunning(watch.started)
        # Earlier than that of daphne, and so called before it.
        reactor.addSystemEventTrigger("before", "shutdown", watch.stopping)


class _Watch:
    """Waits for the reactor, which other programs than daphne may run, too."""

    def __init__(self) -> None:
        self._served: ServedApplication | None = None

    def started(self) -> None:
        variables = variables_on_stack(Server.run)
        if variables and not isinstance(variables["self"].application, ServedApplication):
            self._served = ServedApplication(variables["self"])
            self._served.begin()

    def stopping(self) -> Deferred[None] | None:
        return None if self._served is None else self._served.end()


_watches: list[_Watch] = []


class ServedApplication:
    """The application of a server of daphne, served inside of its lifespan.

    Requests wait for the startup, and get a copy of the state. When the server stops, requests in
    flight may end before the lifespan shuts down, and the reactor stops last.

    Args:
        server: gets this object as its application.
        is_ready: called when the application has started up.
        limit_of_reload: seconds that requests in flight have in another thread than the main one,
            where a reloader waits for the end. Else it is daphne's ``application_close_timeout``.

    Attributes:
        exit_code: the one for the process: 0, 3 without a startup, 1 where the shutdown failed.
        failure: the message of that failure.
        stop: there when the event loop runs.
    """

    def __init__(
        self,
        server: Server,
        *,
        is_ready: Callable[[], object] | None = None,
        limit_of_reload: float = 0.0,
    ) -> None:
        self.exit_code = 0
        self.failure = ""
        self.stop: Stop
        self._server: Any = server
        self._is_ready = is_ready
        self._application: Application = server.application
        self._lifespan = LifespanDriver(self._application)
        self._requests: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._limit_of_reload = limit_of_reload
        self._is_over = threading.Event()
        server.application = self

    def begin(self) -> None:
        """Start up, as soon as the event loop runs. daphne has set it by now."""
        self.loop = asyncio.get_event_loop()
        self._is_of_command = variables_on_stack(CommandLineInterface.run) is not None
        if not in_main_thread():
            # A function of ``atexit`` would come too late: by then no executor takes any work, and
            # a resource that closes in a thread would fail.
            getattr(threading, "_register_atexit", atexit.register)(self._close_at_exit)
        _served.append(self)
        self._life = self.loop.create_task(self._live())

    def end(self) -> Deferred[None]:
        """Begin to stop, and return a Deferred that fires when everything is closed."""
        self.stop.request()
        self._shield_requests()
        return Deferred.fromFuture(self._life)

    def close(self) -> int:
        """Stop the server, which runs in another thread, and return the exit code at its end."""
        is_closed = stop_in_thread(
            reactor.callFromThread, self._request_stop, self._is_over, logger
        )
        return self.exit_code if is_closed else SHUTDOWN_FAILURE

    def _request_stop(self) -> None:
        self.stop.request()

    # Requests

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return a request, which daphne makes a task."""
        request = self._serve(scope, receive, send)
        return self._shield(asyncio.ensure_future(request)) if self.stop.has_begun else request

    def _shield(self, request: asyncio.Task[None]) -> asyncio.Future[None]:
        """Return a future of a request that the stop waits for. daphne may cancel the future."""
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        return asyncio.shield(request)

    def _shield_requests(self) -> None:
        """Keep daphne from cancelling a request, from the begin of the stop on.

        A shield around every request from its begin would cost a tenth of daphne's throughput.
        """
        for details in self._server.connections.values():
            request = details.get("application_instance")
            if isinstance(request, asyncio.Task) and not request.done():
                details["application_instance"] = self._shield(request)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_open:
            await asyncio.wait({self._startup})
        if not self._is_open:  # not started up, or shut down
            raise asyncio.CancelledError
        scope["state"] = self._lifespan.state.copy()
        if scope["type"] == "websocket":
            send = functools.partial(self._send_to_websocket, send)
        await self._application(scope, receive, send)

    async def _send_to_websocket(self, send: Any, message: Message) -> None:
        """Send a message, refuse a WebSocket that is accepted too late, and close with any code."""
        if message["type"] == "websocket.accept" and self.stop.has_begun:
            message = {"type": "websocket.close"}
        if message["type"] == "websocket.close" and message.get("code") == SERVICE_RESTART:
            protocol = send.args[0]  # daphne/server.py:219
            if protocol.state == WebSocketProtocol.STATE_OPEN:
                _close_websocket(protocol)
                return
        await send(message)

    # The course of the lifespan

    async def _live(self) -> None:
        """Start up, serve until told to stop, shut down, and let the reactor end."""
        limit = self._limit_of_reload
        if in_main_thread():
            limit = self._server.application_close_timeout
        self.stop = Stop(
            self,
            Deadlines(limit),
            option="--application-close-timeout",
            logger=logger,
            delays=self._is_of_command,
        )
        self._handle_os_signals()
        self._startup = asyncio.ensure_future(self._start())
        try:
            try:
                await self.stop.run(until_idle=True)
                self._server.application_checker()  # logs exceptions, else once a second
            except Exception as error:  # of daphne or Twisted: close the resources all the same
                message = "The requests in flight could not be ended [lifespan-requests]"
                log(logger, logging.ERROR, message, exc_info=error)
            await asyncio.wait({self._startup})  # it may be complete, and not have noted so
            if self._is_open:
                self._is_open = False
                await self._shut_down()
        finally:
            if self._is_of_command:
                exit_despite_threads(logger, code=self.exit_code or SHUTDOWN_FAILURE)
            self._is_over.set()
            with contextlib.suppress(ReactorNotRunning):  # it was told before
                reactor.stop()

    def _handle_os_signals(self) -> None:
        """Take over from Twisted until the reactor has stopped, and leave handlers of others."""
        if self._server.signal_handlers:
            handlers = {number: signal.getsignal(number) for number in stop_signals()}
            numbers = [
                number
                for number, handler in handlers.items()
                if handler is signal.SIG_DFL or getattr(handler, "__self__", None) is reactor
            ]
            handled = contextlib.ExitStack()
            handled.enter_context(handle_os_signals(numbers, self.stop.receive))
            reactor.addSystemEventTrigger("after", "shutdown", handled.close)

    async def _start(self) -> None:
        try:
            await self._start_up()
        except LifespanError as error:
            log_failure(logger, "Application startup failed: %s", error)
            self._fail(STARTUP_FAILURE, error)
            self.stop.request()
        else:
            self._is_open = True
            if self._is_ready is not None:
                self._is_ready()

    async def _start_up(self) -> None:
        """Return when the application has started up, or the part of it that has a lifespan."""
        try:
            await self._lifespan.startup()
        except LifespanUnsupportedError as error:
            if applications and applications[-1] is not self._application:
                self._lifespan = LifespanDriver(applications[-1])
                await self._lifespan.startup()
                return
            raise LifespanUnsupportedError(
                f"{error} Its asgi.py takes get_asgi_application from django_asgi_lifespan.asgi "
                f"instead of django.core.asgi. [lifespan-unsupported]"
            ) from error

    async def _shut_down(self) -> None:
        try:
            await self._lifespan.shutdown()
        except LifespanError as error:
            log_failure(logger, "Application shutdown failed: %s", error)
            self._fail(SHUTDOWN_FAILURE, error)

    def _fail(self, code: int, error: LifespanError) -> None:
        self.exit_code, self.failure = code, str(error)
        self._server.abort_start = _ExitCode(code) if self._is_of_command else True

    def _close_at_exit(self) -> None:
        """Close when the main thread ends: nobody else tells a server that Django reloads."""
        for number in (signal.SIGINT, signal.SIGTERM):  # it is ending already
            signal.signal(number, signal.SIG_IGN)
        self.close()

    # The stop

    def is_starting(self) -> bool:
        lifespan = self.stop.lifespan
        is_complete = lifespan is not None and lifespan.phase == "running"
        return not (is_complete or self._startup.done())

    def interrupt_startup(self) -> None:
        self._startup.cancel()

    def stop_listening(self) -> None:
        self._shield_requests()
        for reader in reactor.getReaders():
            if IListeningPort.providedBy(reader):
                reader.stopListening()
        # Those that no application of ours has accepted.
        for connection in self._server.connections:
            if isinstance(connection, WebSocketProtocol):
                _close_websocket(connection)

    def requests(self) -> set[asyncio.Task[None]]:
        return self._requests

    def disconnect(self) -> None:
        for connection, details in list(self._server.connections.items()):
            channel: Any = getattr(connection, "channel", None)
            if "disconnected" in details:  # answered, or a WebSocket has its transport
                continue
            if isinstance(connection, WebRequest) and hasattr(channel, "abortConnection"):
                channel.connectionLost(Failure(ConnectionAborted()))  # a stream of HTTP/2
                channel.abortConnection()
            else:
                transport: Any = connection.transport
                transport.abortConnection()

    def abandon(self) -> None:
        """Do nothing: the server waits for no request."""


class _ExitCode(int):
    """Ends daphne's command with this exit code, where it would end with 1 (daphne/cli.py:310)."""

    def __bool__(self) -> bool:
        raise SystemExit(int(self))


def _close_websocket(protocol: Any) -> None:
    """Tell the client that the server restarts. The handler gets a disconnect.

    autobahn refuses to send that close code (``WebSocketProtocol.sendClose``,
    autobahn/websocket/protocol.py:2323 in 26.10.2). And it rounds the end of its second for the
    client's answer down, perhaps to now (txaio/_common.py:88 in 26.6.1).
    """
    if protocol.state == WebSocketProtocol.STATE_OPEN:
        protocol.closeHandshakeTimeout += 1
        protocol.sendCloseFrame(SERVICE_RESTART, b"The server restarts.")
