"""The open WebSockets of an application, so that those that the server forgets get a close."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from .protocol import Message, Receive, Send
from .threads import uncancel

__all__ = ("OpenWebSockets",)

logger = logging.getLogger("django_asgi_lifespan")

SERVICE_RESTART = 1012
"""The close code that says that the server restarts (IANA's registry of close codes)."""

REASON = "The server restarts."

CLOSE = {"type": "websocket.close", "code": SERVICE_RESTART, "reason": REASON}

HELD_UP = 0.1
"""Seconds after which the application no longer waits for messages of a WebSocket to be closed.

granian 2.8.9 sends no close while the application receives.
"""

PATIENCE = 1.0
"""Seconds to tell all clients and for the handlers to end, while every resource still works."""


class OpenWebSockets:
    """The WebSockets whose handlers are running."""

    def __init__(self) -> None:
        self._sockets: dict[_WebSocket, asyncio.Task[object] | None] = {}

    def add(self, receive: Receive, send: Send) -> _WebSocket:
        """Return a socket for the connection that *receive* and *send* belong to."""
        socket = _WebSocket(receive, send)
        self._sockets[socket] = asyncio.current_task()
        return socket

    def remove(self, socket: _WebSocket) -> None:
        """Forget a socket whose handler has ended."""
        del self._sockets[socket]

    async def close(self) -> None:
        """Close those that are open in this event loop with 1012, and let their handlers end.

        A server that tells them itself has ended their handlers before the shutdown.
        """
        loop = asyncio.get_running_loop()
        handlers = {
            socket: task
            for socket, task in self._sockets.items()
            if task is not None and task.get_loop() is loop
        }
        if handlers:
            closings = {asyncio.ensure_future(socket.close()) for socket in handlers}
            await asyncio.wait({*closings, *handlers.values()}, timeout=PATIENCE)
            for closing in closings:  # a client that does not read may hold one up
                closing.cancel()
            await asyncio.wait(closings)


class _WebSocket:
    """One WebSocket: whether the application has accepted it, and has not closed it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._open = False
        self._is_told = False
        self._is_refused = False
        self._receiver: asyncio.Task[Any] | None = None
        self._interrupted = False

    async def receive(self) -> Message:
        """Return what the server has for the application, or that the WebSocket was closed here."""
        self._receiver = asyncio.current_task()
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
            self._interrupted = False
            uncancel()
            return {"type": "websocket.disconnect", "code": SERVICE_RESTART, "reason": REASON}
        finally:
            self._receiver = None

    async def send(self, message: Message) -> None:
        """Pass on a message of the application; refuse a WebSocket that it accepts too late."""
        if self._is_refused:
            return
        if self._is_told and message["type"] == "websocket.accept":
            self._is_refused = True
            message = CLOSE
        if message["type"] in ("websocket.accept", "websocket.close"):
            self._open = message["type"] == "websocket.accept"
        await self._send(message)

    async def close(self) -> None:
        """Tell the client that the server restarts, if it has not been told."""
        self._is_told = True
        if self._open:
            self._open = False
            closing = asyncio.ensure_future(self._send(CLOSE))
            try:
                await asyncio.wait({closing}, timeout=HELD_UP)
                if not closing.done() and self._receiver is not None:
                    self._interrupted = True
                    self._receiver.cancel()
                await closing
            except Exception as error:  # the client has gone
                logger.debug("A WebSocket could not be closed", exc_info=error)
            finally:
                closing.cancel()
