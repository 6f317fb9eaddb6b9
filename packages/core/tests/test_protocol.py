"""The application side of the protocol: every message, in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from django_asgi_lifespan import LifespanProtocolError, ShutdownFailedError, StartupFailedError
from django_asgi_lifespan.protocol import speak_lifespan


class Server:
    """The other side: sends the given messages, then waits, and keeps all that it is sent."""

    def __init__(self, *messages: str | BaseException) -> None:
        self.messages = list(messages)
        self.answers: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if not self.messages:
            await asyncio.get_running_loop().create_future()
        message = self.messages.pop(0)
        if isinstance(message, BaseException):
            raise message
        return {"type": message}

    async def send(self, message: Any) -> None:
        self.answers.append(message)


class Lifespan:
    """Notes its entry and its exit, and fails as asked."""

    def __init__(self, enter: Exception | None = None, exit: Exception | None = None) -> None:  # noqa: A002
        self.seen: list[Any] = []
        self.outcomes = {"enter": enter, "exit": exit}

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        self.seen.append("enter")
        if self.outcomes["enter"]:
            raise self.outcomes["enter"]
        try:
            yield
        except BaseException as exception:
            self.seen.append(type(exception))
            raise
        self.seen.append("exit")
        if self.outcomes["exit"]:
            raise self.outcomes["exit"]


async def speak(server: Server, lifespan: Lifespan) -> None:
    """Let the two speak to each other."""
    await speak_lifespan(server.receive, server.send, lifespan.run())


async def test_startup_and_shutdown_are_answered_once_each() -> None:
    """With the plain complete messages."""
    server, lifespan = Server("lifespan.startup", "lifespan.shutdown"), Lifespan()
    await speak(server, lifespan)
    assert server.answers == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]
    assert lifespan.seen == ["enter", "exit"]


async def test_a_failed_startup_is_answered_once_and_ends_the_exchange() -> None:
    """No further message is asked for."""
    server = Server("lifespan.startup", AssertionError("asked for another message"))
    await speak(server, Lifespan(enter=StartupFailedError("the reason")))
    assert server.answers == [{"type": "lifespan.startup.failed", "message": "the reason"}]


async def test_a_failed_shutdown_is_answered_once() -> None:
    """With its message."""
    server = Server("lifespan.startup", "lifespan.shutdown")
    await speak(server, Lifespan(exit=ShutdownFailedError("the reason")))
    assert server.answers[1:] == [{"type": "lifespan.shutdown.failed", "message": "the reason"}]


@pytest.mark.parametrize("message", ["lifespan.shutdown", "http.request", "lifespan.unknown"])
async def test_an_unexpected_first_message_is_an_error_before_anything_starts(
    message: str,
) -> None:
    """The error names the expected message."""
    lifespan = Lifespan()
    with pytest.raises(LifespanProtocolError, match=rf"'{message}' where .* 'lifespan.startup'"):
        await speak(Server(message), lifespan)
    assert not lifespan.seen


@pytest.mark.parametrize("message", ["lifespan.startup", "lifespan.unknown"])
async def test_an_unexpected_second_message_stops_everything_and_is_an_error(message: str) -> None:
    """A resource that had started is not left open."""
    lifespan = Lifespan()
    server = Server("lifespan.startup", message)
    with pytest.raises(LifespanProtocolError, match=rf"'{message}' where .* 'lifespan.shutdown'"):
        await speak(server, lifespan)
    assert lifespan.seen == ["enter", LifespanProtocolError]
    assert server.answers == [{"type": "lifespan.startup.complete"}]


async def test_an_exception_of_the_server_stops_everything_and_goes_on() -> None:
    """There is nobody to answer."""
    lifespan = Lifespan()
    server = Server("lifespan.startup", OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await speak(server, lifespan)
    assert lifespan.seen == ["enter", OSError]
    assert server.answers == [{"type": "lifespan.startup.complete"}]


async def test_a_cancellation_stops_everything_and_goes_on() -> None:
    """No answer is sent."""
    lifespan = Lifespan()
    server = Server("lifespan.startup")
    task = asyncio.ensure_future(speak(server, lifespan))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert lifespan.seen == ["enter", asyncio.CancelledError]
    assert server.answers == [{"type": "lifespan.startup.complete"}]
