"""The client: what a browser would see, over TCP or a unix socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from pathlib import Path
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .ports import HOST

PATIENCE = 20.0
"""Seconds that a client waits for an answer."""


class Answer(NamedTuple):
    """What came back: a status, and the content, from JSON where it is JSON; or what went wrong."""

    status: int | None
    content: Any


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(HOST, address.port, timeout=timeout)
        self._address = address

    def connect(self) -> None:
        self.sock = self._address.open(self.timeout)


class Address:
    """Where a server listens.

    Args:
        port: on the loopback interface.
        path: of the unix socket, instead of the port.
    """

    def __init__(self, port: int, path: Path | None = None) -> None:
        self.port = port
        self.path = path

    def open(self, timeout: float | None) -> socket.socket:
        """Return a connected socket."""
        if self.path is None:
            return socket.create_connection((HOST, self.port), timeout=timeout)
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(timeout)
        connected.connect(str(self.path))
        return connected

    def accepts(self) -> bool:
        """Return whether a client can connect now."""
        try:
            self.open(PATIENCE).close()
        except OSError:
            return False
        return True


class Request:
    """A request that was sent, and its answer when it is asked for.

    Args:
        keep_alive: the connection stays open for another request.
    """

    def __init__(self, address: Address, path: str, *, keep_alive: bool = False) -> None:
        self._connection = _Connection(address, PATIENCE)
        self._keep_alive = keep_alive
        self._failure: Exception | None = None
        self._response: http.client.HTTPResponse | None = None
        self.send(path)

    def send(self, path: str) -> None:
        """Send another request over the same connection."""
        headers = {} if self._keep_alive else {"Connection": "close"}
        try:
            self._connection.request("GET", path, headers=headers)
        except (OSError, http.client.HTTPException) as failure:
            self._failure = failure

    def first_line(self) -> bytes:
        """Return the first line of the content."""
        self._response = self._connection.getresponse()
        return self._response.readline()

    def answer(self, *, within: float = PATIENCE) -> Answer:
        """Return the answer, or what went wrong instead of one."""
        if self._failure is not None:
            return Answer(None, repr(self._failure))
        if self._connection.sock is not None:
            self._connection.sock.settimeout(within)
        try:
            response = self._response or self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as failure:
            return Answer(None, repr(failure))
        if response.headers.get_content_type() == "application/json":
            return Answer(response.status, json.loads(content))
        return Answer(response.status, content.decode(errors="replace"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class WebSocket:
    """An open WebSocket.

    Attributes:
        state: the names in the state of its scope, None where it has no state.
    """

    def __init__(self, address: Address) -> None:
        self._connection: ClientConnection = connect(
            f"ws://{HOST}:{address.port}/", sock=address.open(PATIENCE), open_timeout=PATIENCE
        )
        self.state: list[str] | None = json.loads(self._connection.recv(PATIENCE))

    def close_code(self, *, within: float) -> int | None:
        """Return the code with which the server closed it; None if it said nothing.

        1006, "abnormal closure", is a connection that ended without a close frame.
        """
        try:
            self._connection.recv(within)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006
        except TimeoutError:
            return None
        return None

    def close(self) -> None:
        """Leave without a word, as a client that lost its network does."""
        with contextlib.suppress(OSError):
            self._connection.socket.close()
