"""A Channels project: views and consumers share resources, and WebSockets end before these do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.conf import settings as django_settings
from django.core import asgi as django_asgi
from django.http import HttpRequest, JsonResponse
from django.urls import path

from django_asgi_lifespan import ResourceUnavailableError, asgi, resource
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from testkit.processes import start

pytest.importorskip("channels", reason="Channels is not among the packages of `just test-versions`")

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter

LIMIT = 30
"""Seconds after which a test waits no longer."""

Write = Callable[[str], Any]


class Visits:
    """The resource that the view and the consumer share."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


def make_application(write: Write, make_django: Callable[[], Any]) -> tuple[Any, Any]:
    """Declare a resource, and return an application of a view and a consumer, and Django's URLs."""

    @resource
    async def visits() -> AsyncIterator[Visits]:
        write("visits opens")
        yield Visits()
        write("visits closes")

    async def view(request: HttpRequest) -> JsonResponse:
        shared = request.scope["state"]["visits"] is visits.get()  # type: ignore[attr-defined]
        return JsonResponse({"count": visits.get().add(), "shared": shared})

    class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def receive(
            self, text_data: str | None = None, bytes_data: bytes | None = None
        ) -> None:
            shared = self.scope["state"]["visits"] is visits.get()
            await self.send(f"{visits.get().add()} {shared}")

        async def disconnect(self, code: int) -> None:
            try:
                write(f"consumer ends by {code} after {visits.get().count} visits")
            except ResourceUnavailableError as error:
                write(f"consumer ends by {code} too late: {error}")

    router = ProtocolTypeRouter(
        {
            "http": make_django(),
            "websocket": URLRouter([path("visits/", Consumer.as_asgi())]),
        }
    )
    return LifespanApplication(router), (path("visits/", view),)


@pytest.fixture(params=[asgi, django_asgi], ids=["ours", "of Django"])
def application(request: pytest.FixtureRequest, journal: list[str], settings: Any) -> Any:
    """The application, around our handler of Django and around Django's own."""
    made, settings.ROOT_URLCONF = make_application(
        journal.append, request.param.get_asgi_application
    )
    return made


class Socket:
    """An open WebSocket, as a server has it that says nothing to it when it stops."""

    def __init__(self, application: Any, journal: list[str]) -> None:
        self._journal = journal
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "websocket", "path": "/visits/", "headers": [], "subprotocols": []}
        call = application(scope, self._received.get, self._send)
        self.handler = asyncio.ensure_future(call)
        self.put("websocket.connect")

    def put(self, kind: str, **message: Any) -> None:
        """Send a message to the application."""
        self._received.put_nowait({"type": kind, **message})

    async def get(self) -> dict[str, Any]:
        """Return the messages that the application sent."""
        return await asyncio.wait_for(self._sent.get(), LIMIT)

    async def _send(self, message: dict[str, Any]) -> None:
        self._sent.put_nowait(message)
        if message["type"] == "websocket.close":
            self._journal.append(f"client is told {message['code']}")
            self.put("websocket.disconnect", code=message["code"])


async def say(socket: Socket) -> str:
    """Send a text, and return the answer."""
    socket.put("websocket.receive", text="anything")
    answer = await socket.get()
    assert answer["type"] == "websocket.send"
    return str(answer["text"])


async def ask(application: Any) -> Any:
    """Send a request, and return the answer."""
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return (await client.get("/visits/")).json()


@pytest.mark.real_clock
async def test_a_view_and_a_consumer_share_a_resource(application: Any, journal: list[str]) -> None:
    """By its name in the code and in the state. A WebSocket that the client leaves is no matter."""
    async with LifespanDriver(application):
        socket = Socket(application, journal)
        assert (await socket.get())["type"] == "websocket.accept"
        assert await say(socket) == "1 True"
        assert await ask(application) == {"count": 2, "shared": True}
        assert await say(socket) == "3 True"
        socket.put("websocket.disconnect", code=1001)
        await asyncio.wait_for(socket.handler, LIMIT)
    assert journal == ["visits opens", "consumer ends by 1001 after 3 visits", "visits closes"]


@pytest.mark.real_clock
async def test_open_websockets_are_closed_before_resources(
    application: Any, journal: list[str]
) -> None:
    """Where the server does not tell them. Their consumers end while the resources still work."""
    async with LifespanDriver(application):
        sockets = [Socket(application, journal) for _ in range(2)]
        for socket in sockets:
            assert (await socket.get())["type"] == "websocket.accept"
        assert await say(sockets[0]) == "1 True"
    assert all(socket.handler.done() for socket in sockets)
    assert journal == [
        "visits opens",
        *["client is told 1012"] * 2,
        *["consumer ends by 1012 after 1 visits"] * 2,
        "visits closes",
    ]


@pytest.mark.real_clock
async def test_a_failed_startup_refuses_websockets_too(
    application: Any, journal: list[str]
) -> None:
    """With 1013, before the consumer sees them."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise ValueError("broken")
        yield

    driver = LifespanDriver(application)
    with pytest.raises(Exception, match="broken failed to start"):
        await driver.startup()
    socket = Socket(application, journal)
    assert (await socket.get())["code"] == 1013
    await asyncio.wait_for(socket.handler, LIMIT)
    assert journal[-1] == "client is told 1013"


def serve() -> Any:
    """Make the application that uvicorn runs. Its journal is the output of the process."""
    import conftest  # noqa: F401 - sets Django up

    def write(line: str) -> None:
        print(f"journal: {line}", flush=True)  # noqa: T201

    django_settings.ASGI_LIFESPAN = {"ADAPTERS": None}  # the one for uvicorn would close it first
    application, django_settings.ROOT_URLCONF = make_application(write, asgi.get_asgi_application)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def watched_send(message: Any) -> None:
            if message["type"] == "websocket.close":
                write(f"application closes with {message['code']}")
            await send(message)

        await application(scope, receive, watched_send)

    return watched


@pytest.mark.process
def test_under_uvicorn_an_open_websocket_is_closed_once() -> None:
    """By uvicorn, which tells client and consumer itself, before the lifespan's shutdown."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    command = [sys.executable, "-m", "uvicorn", "--factory", "test_channels:serve"]
    command += ["--app-dir", str(Path(__file__).parent), "--port", "0", "--lifespan", "on"]
    with start(command) as server:
        address = server.wait_for_output(r"running on http://(\S+)")[1]
        with connect(f"ws://{address}/visits/") as socket:
            socket.send("anything")
            assert socket.recv(LIMIT) == "1 True"
            answer = httpx2.get(f"http://{address}/visits/").json()
            assert answer == {"count": 2, "shared": True}
            server.stop("SIGTERM")
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(LIMIT)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        server.wait()
        output = server.output()
    assert [line for line in output.splitlines() if line.startswith("journal: ")] == [
        "journal: visits opens",
        "journal: consumer ends by 1012 after 2 visits",
        "journal: visits closes",
    ]
    assert "Traceback" not in output
    assert "ERROR" not in output
