"""The client of the matrix, to whom the lack of an answer is an answer, too."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple

from testkit import client
from testkit.client import Address

PATIENCE = 20.0
"""Seconds that a client waits for an answer."""

ERRORS = (OSError, http.client.HTTPException)


class Answer(NamedTuple):
    """A status and the content, from JSON where it is JSON, or None and the error."""

    status: int | None
    content: Any


def fate(answer: Answer) -> str:
    """Return a word for an answer: its status, or ``refused``, ``waits`` or ``cut off``."""
    if answer.status is not None:
        return str(answer.status)
    error = str(answer.content).partition("(")[0]
    words = {"ConnectionRefusedError": "refused", "FileNotFoundError": "refused"}
    return "waits" if error == "TimeoutError" else words.get(error, "cut off")


class Request:
    """A request that was sent, and its answer when it is asked for.

    Args:
        keep_alive: the connection stays open for another request.
    """

    def __init__(self, address: Address, path: str, *, keep_alive: bool = False) -> None:
        self._request = client.Request(address, keep_alive=keep_alive)
        self._failure: Exception | None = None
        self.send(path)
        self.first_line = self._request.first_line
        self.close = self._request.close

    def send(self, path: str) -> None:
        """Send another request over the same connection."""
        try:
            self._request.send(path)
        except ERRORS as failure:
            self._failure = failure

    def answer(self, *, within: float = PATIENCE) -> Answer:
        """Return the answer, or the error instead of one."""
        if self._failure is not None:
            return Answer(None, repr(self._failure))
        try:
            status, content = self._request.answer(within=within)
        except ERRORS as failure:
            return Answer(None, repr(failure))
        return Answer(status, content.decode() if isinstance(content, bytes) else content)


class WebSocket(client.WebSocket):
    """An open WebSocket.

    Attributes:
        state: the names in the state of its scope, None where it has no state.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.state: list[str] | None = json.loads(self.receive())

    def close_code(self, *, within: float) -> int | None:
        """Return the code with which the server closed it, or None if it said nothing."""
        try:
            return self.closed_with(within=within)[0]
        except (TimeoutError, AssertionError):
            return None
