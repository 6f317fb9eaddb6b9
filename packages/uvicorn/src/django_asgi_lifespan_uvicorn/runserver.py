"""The development server: uvicorn in the place of the WSGI server of Django's ``runserver``."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import os
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django_asgi_lifespan.adapters import (
    RELOAD_LIMIT,
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    Application,
    Receive,
    Scope,
    Send,
    in_main_thread,
    stop_in_thread,
)

from .server import Config, Server
from .stop import logger

__all__ = ("DevelopmentServer", "StoppableServer", "Switch", "switch")


class StoppableServer(Server):
    """A server that the main thread stops while another thread runs it.

    Attributes:
        delays: whether SIGTERM waits for the drain delay of the settings.
    """

    delays = False

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exit_code = 0
        self._closed = threading.Event()  # the event loop may still wait for threads

    def stop(self) -> int:
        """Return the exit code when everything is closed, or when the event loop is blocked."""
        is_closed = stop_in_thread(self._call_soon, self._begin_stop, self._closed, logger)
        return self._exit_code if is_closed else SHUTDOWN_FAILURE

    def _call_soon(self, function: Callable[[], object]) -> None:
        if self._loop is None:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(function)

    def _begin_stop(self) -> None:
        stop = getattr(self.lifespan, "stop", None)
        if stop is None or self.lifespan.shutdown_event.is_set():  # its lifespan is over
            self.should_exit = True
        else:
            stop.request()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        except BaseException:
            self._closed.set()
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().shutdown(sockets)
        except SystemExit:
            self._exit_code = SHUTDOWN_FAILURE
            raise
        finally:
            self._closed.set()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self._closed.set()


class Switch:
    """Lets the main thread stop the server that runs in another one, or that is about to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: StoppableServer | None = None
        self._is_off = False

    def on(self, server: StoppableServer) -> None:
        """Note that *server* is about to run.

        Raises:
            SystemExit: the switch is off already.
        """
        with self._lock:
            if self._is_off:
                sys.exit()
            self._server = server

    def off(self) -> int:
        """Stop the server, and return the exit code when everything is closed."""
        with self._lock:
            self._is_off = True
        return 0 if self._server is None else self._server.stop()


switch = Switch()
"""That of this process: Django makes its server itself, and keeps it to itself."""


class DevelopmentServer:
    """Uvicorn, as Django's ``runserver`` makes and uses its server.

    The port is open from the beginning, so that a browser that is reloaded meanwhile waits for
    the startup.

    Source: ``run``, django/core/servers/basehttp.py, of Django 4.2 to 6.1.

    Attributes:
        server_port: where it listens.
    """

    def __init__(
        self, server_address: tuple[str, int], handler_class: object, *, ipv6: bool = False
    ) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
        if os.name == "posix":  # on Windows the option would take a port from whoever has it
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(server_address)
            self._socket.listen()
        except OSError:
            self._socket.close()
            raise
        self.server_port: int = self._socket.getsockname()[1]

    def set_app(self, application: Application) -> None:
        """Serve *application*, with ``--nothreading`` one request at a time."""
        threaded = isinstance(self, socketserver.ThreadingMixIn)
        self._application = application if threaded else OneAtATime(application)

    def serve_forever(self) -> None:
        """Serve until switched off, or until an OS signal arrives in the main thread.

        Raises:
            SystemExit: with 3, where the lifespan did not start.
            KeyboardInterrupt: an OS signal arrived, and everything is closed.
        """
        _log_as_django_does()
        server = StoppableServer(
            Config(
                self._application,
                log_config=None,
                timeout_graceful_shutdown=RELOAD_LIMIT,
            )
        )
        try:
            switch.on(server)
            server.run(sockets=[self._socket])
        finally:
            self._socket.close()
        if not server.started:
            sys.exit(STARTUP_FAILURE)
        if in_main_thread():
            raise KeyboardInterrupt


class OneAtATime:
    """An application that serves one HTTP request after the other."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        turn = self._lock if scope["type"] == "http" else contextlib.nullcontext()
        async with turn:
            await self._application(scope, receive, send)


class _Relay(logging.Handler):
    """Hands records on to Django's logger of its development server."""

    def emit(self, record: logging.LogRecord) -> None:
        record.server_time = time.strftime("%d/%b/%Y %H:%M:%S")  # as Django's server has it
        logging.getLogger("django.server").handle(record)


class _AccessRelay(_Relay):
    """Hands on uvicorn's access log, in the style of Django's own.

    The arguments are those that ``AccessFormatter.formatMessage`` expects (uvicorn/logging.py:105).
    """

    def emit(self, record: logging.LogRecord) -> None:
        arguments: Any = record.args
        _, method, path, version, status = arguments
        line = copy.copy(record)
        line.msg, line.args = '"%s %s HTTP/%s" %d', (method, path, version, status)
        line.status_code = status  # decides its colour
        super().emit(line)


def _log_as_django_does() -> None:
    """Show requests and the course of the lifespan, where the project's ``LOGGING`` does not."""
    is_disabled = logging.getLogger("django.server").disabled  # and would swallow every line
    for name, relay in (("uvicorn.access", _AccessRelay()), ("django_asgi_lifespan", _Relay())):
        logger = logging.getLogger(name)
        if not (logger.hasHandlers() or is_disabled):
            logger.addHandler(relay)
            logger.setLevel(logging.INFO)
            logger.propagate = False
