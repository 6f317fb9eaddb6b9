"""The notice that the server stops: endless responses end while there is still time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

from django_asgi_lifespan import (
    ResourceUnavailableError,
    ShutdownFailedError,
    asgi_shutdown,
    asgi_stopping,
    resource,
    run_lifespan,
    state,
    stopping,
)
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler

LIMIT = 30
"""Seconds after which a test waits no longer."""

RECEIVERS = ["async receiver", "sync receiver"]


@pytest.fixture
def handler(journal: list[str], settings: Any) -> LifespanASGIHandler:
    """A project with one resource, receivers of the signals, and a stream of events."""

    @resource
    async def ticker() -> AsyncIterator[str]:
        yield "tick"
        journal.append("ticker closes")

    async def on_stopping() -> None:
        journal.append("async receiver")

    def on_stopping_in_a_thread() -> None:
        journal.append("sync receiver")

    async def on_shutdown() -> None:
        journal.append("shutdown")

    asgi_stopping.connect(on_stopping)
    asgi_stopping.connect(on_stopping_in_a_thread)
    asgi_shutdown.connect(on_shutdown)

    async def events() -> AsyncIterator[str]:
        yield f"data: {ticker.get()}\n\n"
        await stopping()
        yield "data: goodbye\n\n"

    async def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(events(), content_type="text/event-stream")

    settings.ROOT_URLCONF = (path("events/", view),)
    return LifespanASGIHandler()


class Stream:
    """A request for the events, whose response is read piece by piece."""

    def __init__(self, handler: LifespanASGIHandler) -> None:
        self._requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._requests.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self._responses: asyncio.Queue[Any] = asyncio.Queue()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events/",
            "query_string": b"",
            "headers": [],
        }
        call = handler(scope, self._requests.get, self._responses.put)
        self.response = asyncio.ensure_future(call)

    async def start(self) -> None:
        """Wait for the status."""
        message = await asyncio.wait_for(self._responses.get(), LIMIT)
        assert (message["type"], message["status"]) == ("http.response.start", 200)

    async def piece(self) -> bytes:
        """Return the next piece of the body, an empty one at its end."""
        message = await asyncio.wait_for(self._responses.get(), LIMIT)
        assert message["type"] == "http.response.body"
        body: bytes = message.get("body", b"")
        assert message.get("more_body", False) is bool(body)
        return body

    async def end(self) -> None:
        """Read the rest, which is nothing."""
        assert await self.piece() == b""
        await asyncio.wait_for(self.response, LIMIT)


async def open_stream(handler: LifespanASGIHandler) -> Stream:
    """Return a stream after its first event."""
    stream = Stream(handler)
    await stream.start()
    assert await stream.piece() == b"data: tick\n\n"
    return stream


@pytest.mark.real_clock
async def test_an_early_notice_ends_streams_while_everything_works(
    handler: LifespanASGIHandler, journal: list[str]
) -> None:
    """Receivers are called once, however often the notice is given. Requests are still served."""
    all_called = asyncio.Event()

    async def on_stopping_last() -> None:
        all_called.set()

    asgi_stopping.connect(on_stopping_last)
    async with LifespanDriver(handler):
        streams = [await open_stream(handler) for _ in range(2)]
        assert journal == []
        state.announce_stopping()
        state.announce_stopping()
        for stream in streams:
            assert await stream.piece() == b"data: goodbye\n\n"
            await stream.end()
        await asyncio.wait_for(all_called.wait(), LIMIT)
        assert journal == RECEIVERS
        late = await open_stream(handler)
        assert await late.piece() == b"data: goodbye\n\n"
        await late.end()
    assert journal == [*RECEIVERS, "shutdown", "ticker closes"]


@pytest.mark.real_clock
async def test_without_an_early_notice_the_shutdown_gives_it(
    handler: LifespanASGIHandler, journal: list[str]
) -> None:
    """Before anything else that the shutdown does."""
    driver = LifespanDriver(handler)
    await driver.startup()
    stream = await open_stream(handler)
    await driver.shutdown()
    assert await stream.piece() == b"data: goodbye\n\n"
    await stream.end()
    assert journal == [*RECEIVERS, "shutdown", "ticker closes"]


@pytest.mark.real_clock
async def test_a_receiver_that_fails_early_fails_the_shutdown_later(
    handler: LifespanASGIHandler, journal: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Streams end all the same, the other receivers are called, and it is logged once."""

    async def fail() -> None:
        raise ValueError("broken")

    asgi_stopping.connect(fail)
    driver = LifespanDriver(handler)
    await driver.startup()
    stream = await open_stream(handler)
    state.announce_stopping()
    assert await stream.piece() == b"data: goodbye\n\n"
    await stream.end()
    with pytest.raises(ShutdownFailedError, match=r"fail failed: ValueError: broken$"):
        await driver.shutdown()
    assert journal == [*RECEIVERS, "shutdown", "ticker closes"]
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


async def test_after_the_end_the_stop_is_no_news() -> None:
    """A stream that outlives the lifespan ends. Where none has run, there is nothing to await."""
    with pytest.raises(ResourceUnavailableError, match="no lifespan ran"):
        await stopping()
    async with run_lifespan():
        pass
    await stopping()
    async with run_lifespan():
        waiting = asyncio.ensure_future(stopping())
        await asyncio.sleep(1)
        assert not waiting.done()
    await waiting
