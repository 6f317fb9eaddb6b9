"""WebSockets at the end of a lifespan, under a server that tells nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import asgi_shutdown, resource
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.state import announce_stopping, close_websockets


class Client:
    """The client of one WebSocket, through a server that passes messages on."""

    def __init__(self, *, reads: bool = True, gone: bool = False) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages.put_nowait({"type": "websocket.connect"})
        self.sent: list[dict[str, Any]] = []
        self.reads = reads
        self.gone = gone

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.close":
            if self.gone:
                raise OSError("the client has gone")
            if not self.reads:
                await asyncio.get_running_loop().create_future()
            self.messages.put_nowait({"type": "websocket.disconnect", "code": message["code"]})


async def chat(scope: Any, receive: Any, send: Any) -> None:
    """Accept, and talk until the client leaves. Close by itself where the path says so."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "welcome"})
    if scope["path"] == "/short/":
        await send({"type": "websocket.close", "code": 1000})
        await asyncio.sleep(0.5)
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def connect(
    application: LifespanApplication, client: Client, path: str = "/"
) -> asyncio.Task[None]:
    """Return the task that serves the WebSocket, when it has been accepted."""
    scope = {"type": "websocket", "path": path, "state": {}}
    task = asyncio.ensure_future(application(scope, client.messages.get, client.send))
    await asyncio.sleep(0.01)
    return task


async def test_every_client_is_told_that_the_server_restarts() -> None:
    """One that does not read, or has gone, keeps nobody else from it, nor the shutdown."""
    journal: list[str] = []

    @resource
    async def broker() -> AsyncIterator[None]:
        yield
        journal.append("broker closes")

    asgi_shutdown.connect(_note(journal))
    application = LifespanApplication(chat)
    clients = [Client(reads=False), Client(gone=True), Client()]
    driver = LifespanDriver(application)
    await driver.startup()
    tasks = [await connect(application, client) for client in clients]
    await driver.shutdown()
    assert [client.sent[-1]["code"] for client in clients] == [1012, 1012, 1012]
    assert journal == ["shutdown receivers", "broker closes"]
    assert tasks[2].done()
    for task in tasks[:2]:
        task.cancel()
    await asyncio.wait(tasks)


def _note(journal: list[str]) -> Any:
    async def receiver() -> None:
        journal.append("shutdown receivers")

    return receiver


async def test_a_websocket_that_the_application_has_closed_is_not_closed_again() -> None:
    """Its handler gets its time all the same."""
    application = LifespanApplication(chat)
    client = Client()
    driver = LifespanDriver(application)
    await driver.startup()
    task = await connect(application, client, "/short/")
    await driver.shutdown()
    assert [message["type"] for message in client.sent] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert task.done()


async def test_an_adapter_closes_them_before_the_shutdown() -> None:
    """So that a server that waits for them need not. Elsewhere it does nothing."""
    await close_websockets()
    application = LifespanApplication(chat)
    client = Client()
    async with LifespanDriver(application):
        handler = await connect(application, client)
        await close_websockets()
        assert handler.done()
        assert client.sent[-1] == {
            "type": "websocket.close",
            "code": 1012,
            "reason": "The server restarts.",
        }
        told = len(client.sent)
    assert len(client.sent) == told


async def test_a_server_that_holds_up_the_close_while_it_is_asked_for_messages() -> None:
    """As granian does: the application gets its disconnect here, and the close goes through."""
    receiving = asyncio.Lock()
    client = Client()
    last: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        async with receiving:
            return await client.messages.get()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            async with receiving:
                client.sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        last.append(await receive())

    gated = LifespanApplication(application)
    async with LifespanDriver(gated):
        scope = {"type": "websocket", "path": "/", "state": {}}
        handler = asyncio.ensure_future(gated(scope, receive, send))
        await asyncio.sleep(0.01)
        await close_websockets()
        await handler
    [close] = client.sent
    assert close["code"] == 1012
    assert last == [
        {"type": "websocket.disconnect", "code": 1012, "reason": "The server restarts."}
    ]


async def test_a_handler_that_is_cancelled_while_it_receives_is_cancelled() -> None:
    """Only the close of ours becomes a message."""
    application = LifespanApplication(chat)
    async with LifespanDriver(application):
        handler = await connect(application, Client())
        handler.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handler


async def test_a_websocket_that_comes_during_the_shutdown_is_refused() -> None:
    """It would not be told any more. HTTP is served until the end."""
    seen: list[Any] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    application = LifespanApplication(served)
    late = Client()

    @resource
    async def slow() -> AsyncIterator[None]:
        yield
        await connect(application, late)
        await application({"type": "http", "state": {}}, late.messages.get, late.send)

    async with LifespanDriver(application):
        pass
    assert seen == ["lifespan", "http"]
    assert late.sent == [{"type": "websocket.close", "code": 1013, "reason": "Not running."}]


async def test_a_websocket_that_comes_after_the_notice_of_the_stop_is_refused() -> None:
    """The open ones are being closed, and nobody would tell a new one."""
    application = LifespanApplication(chat)
    client = Client()
    async with LifespanDriver(application):
        announce_stopping()
        task = await connect(application, client)
        assert client.sent == [{"type": "websocket.close", "code": 1013, "reason": "Not running."}]
        assert task.done()


@pytest.mark.parametrize("path", ["/", "/short/", "/denied/"])
async def test_a_websocket_that_is_accepted_after_the_stop_has_begun_is_refused(path: str) -> None:
    """With 1012. Its handler learns that the client has gone, and sends nothing more.

    A handler that refuses it by itself may do so.
    """
    journal: list[str] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.5)
        if scope["path"] == "/denied/":
            await receive()
            await send({"type": "websocket.close", "code": 4000})
            return
        await chat(scope, receive, send)
        journal.append("handler ends")

    application = LifespanApplication(slow)
    client = Client()
    async with LifespanDriver(application):
        task = await connect(application, client, path)
        announce_stopping()
        await close_websockets()
        assert task.done()
    assert [(message["type"], message["code"]) for message in client.sent] == [
        ("websocket.close", 4000 if path == "/denied/" else 1012)
    ]
    assert journal == ([] if path == "/denied/" else ["handler ends"])


async def test_once_everything_runs_http_passes_unseen() -> None:
    """The first request opens the gate."""
    seen: list[Any] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append((scope, receive, send))

    application = LifespanApplication(served)
    async with LifespanDriver(application) as state:
        request = ({"type": "http", "state": state.copy()}, object(), object())
        for _ in range(2):
            await application(*request)  # type: ignore[arg-type]
    assert [tuple(map(id, each)) for each in seen] == [tuple(map(id, request))] * 2
