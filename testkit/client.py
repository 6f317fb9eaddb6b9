"""The client of a server under test: HTTP and WebSockets, over TCP or a Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

HOST = "127.0.0.1"

DEADLINE = 30.0
"""Seconds that a test waits for one thing, many times more than needed."""

CUT_OFF = (http.client.RemoteDisconnected, ConnectionResetError)
"""The errors of `Request.answer()` if the server ends the connection without an answer."""

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
"""The request of a client that speaks the WebSocket protocol by itself."""


def hold_port() -> socket.socket:
    """Return a socket that keeps a free port from being given to anybody else.

    Linux lets a server listen on a port to which others are merely bound, if all of them set
    SO_REUSEADDR. Until then clients are refused. (Were the port free, the system might choose it
    for the client's own end, and the client would be connected to itself.)
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    return holder


class Address:
    """Where a server listens.

    Args:
        port: on the loopback interface.
        path: of the Unix socket, instead of the port.
    """

    def __init__(self, port: int, path: Path | None = None) -> None:
        self.port = port
        self.path = path

    def connect(self) -> socket.socket:
        """Return a connected socket."""
        if self.path is None:
            return socket.create_connection((HOST, self.port), timeout=DEADLINE)
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(DEADLINE)
        connected.connect(str(self.path))
        return connected

    def accepts(self) -> bool:
        """Return whether a client can connect now."""
        try:
            self.connect().close()
        except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError):
            return False
        return True


class Answer(NamedTuple):
    """The answer of a server, with its content parsed if it is JSON."""

    status: int
    content: Any


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Address) -> None:
        super().__init__(HOST, address.port)
        self._address = address

    def connect(self) -> None:
        self.sock = self._address.connect()


class Request:
    """A request on a connection of its own.

    Args:
        keep_alive: the connection stays open for another request.
    """

    def __init__(self, address: Address, *, keep_alive: bool = False) -> None:
        self._connection = _Connection(address)
        self._headers = {} if keep_alive else {"Connection": "close"}
        self._response: http.client.HTTPResponse | None = None

    def send(self, path: str) -> None:
        """Send the request, or another one over the same connection."""
        self._response = None
        self._connection.request("GET", path, headers=self._headers)

    def first_line(self) -> bytes:
        """Return the first line of the content."""
        self._response = self._connection.getresponse()
        return self._response.readline()

    def answer(self, *, within: float = DEADLINE) -> Answer:
        """Return the answer, the content from the second line on if the first one was read.

        Raises:
            OSError, http.client.HTTPException: there is none.
        """
        if self._connection.sock is not None:
            self._connection.sock.settimeout(within)
        response = self._response or self._connection.getresponse()
        content = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(response.status, json.loads(content) if is_json else content)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class WebSocket:
    """An open WebSocket."""

    def __init__(self, address: Address) -> None:
        # Imported here, because the core's tests on all versions run without this package.
        from websockets.sync.client import connect

        url = f"ws://{HOST}:{address.port}/"
        self._opened = contextlib.ExitStack()
        self._connection: ClientConnection = self._opened.enter_context(
            connect(url, sock=address.connect(), open_timeout=DEADLINE)
        )

    def receive(self) -> str:
        """Return the next message."""
        message = self._connection.recv(DEADLINE)
        assert isinstance(message, str), message
        return message

    def send(self, text: str) -> None:
        """Send a message."""
        self._connection.send(text)

    def closed_with(self, *, within: float = DEADLINE) -> tuple[int, str]:
        """Return the code and the reason with which the server closes it, when it does.

        The code 1006, "abnormal closure", is a connection that ended without a close frame.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            self._connection.recv(within)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        raise AssertionError("the server sent a message instead of closing the WebSocket")

    def close(self) -> None:
        """Close it as a client does that goes away."""
        self._opened.close()

    def vanish(self) -> None:
        """Leave without a word, as a client does that lost its network."""
        with contextlib.suppress(OSError):
            self._connection.socket.close()
