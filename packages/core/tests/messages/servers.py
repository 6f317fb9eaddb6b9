"""Messages about requests, WebSockets, adapters, and the end of a server's process."""

from __future__ import annotations

import asyncio
import copy
import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from django_asgi_lifespan.adapters import (
    Deadlines,
    Stop,
    discovery,
    exit_despite_threads,
    reloader_child,
    stop_in_thread,
    watch_supervisor,
)
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from messages.lookups import broken, drive, quiet
from messages.table import COURSE, declare, says
from test_mirror import Pool, ask, deep
from test_stop import FakeLifespan, FakeServer, stop_of
from test_websockets import Client, chat, connect

logger = logging.getLogger("django_asgi_lifespan")

# Requests and WebSockets


@says(
    "request",
    "Service unavailable: the application has not started up. Its log says why.\n",
    "Its log says why",
)
async def _a_request_after_a_failed_start() -> str:
    declare("pool", broken)
    handler = LifespanASGIHandler()
    await quiet(LifespanDriver(handler).startup())
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await handler({"type": "http", "state": {}}, None, send)  # type: ignore[arg-type]
    return str(sent[1]["body"].decode())


@says(
    "WebSocket",
    "A WebSocket for /chat/ was refused: Django handles HTTP alone. Put LifespanApplication around "
    "a router that sends WebSockets elsewhere.",
    "Put LifespanApplication around a router",
)
async def _a_websocket() -> None:
    client = Client()
    await (await connect(LifespanASGIHandler(), client, "/chat/"))  # type: ignore[arg-type]


@says(
    "WebSocket",
    "A WebSocket for an unknown path was refused: Django handles HTTP alone. Put "
    "LifespanApplication around a router that sends WebSockets elsewhere.",
    "Put LifespanApplication around a router",
)
async def _a_websocket_without_a_path() -> None:
    client = Client()
    handler = LifespanASGIHandler()
    await handler({"type": "websocket"}, client.messages.get, client.send)


@says("WebSocket", "The server restarts.", COURSE)
async def _a_websocket_at_the_shutdown() -> str:
    client = Client()
    application = LifespanApplication(chat)
    async with LifespanDriver(application):
        handler = await connect(application, client)
    await handler
    return str(client.sent[-1]["reason"])


@says("WebSocket", "A WebSocket could not be closed", COURSE)
async def _a_websocket_whose_client_has_gone() -> None:
    client = Client(gone=True)
    application = LifespanApplication(chat)
    async with LifespanDriver(application):
        handler = await connect(application, client)
    handler.cancel()
    await quiet(handler)


COPIES = "….deep.<locals>.wrapper copies the scope of each request deeply, "
MIRROR = (
    "Set ASGI_LIFESPAN = {'MIRROR_STATE': False}: then the state is put into each request behind "
    "the wrapper, with the open objects themselves."
)
if sys.version_info < (3, 11):  # frames do not know their qualified names
    COPIES = COPIES.replace("deep.<locals>.", "")


@says(
    "request",
    f"{COPIES}and 'pool' in its state cannot be copied: TypeError: cannot pickle '_thread.lock' "
    f"object. {MIRROR}",
    "Set ASGI_LIFESPAN = {'MIRROR_STATE': False}",
)
async def _a_copy_of_the_scope_that_fails() -> None:
    await copied(threading.Lock())


@says(
    "request",
    f"{COPIES}so requests get a copy of 'pool' instead of the open object. {MIRROR}",
    "Set ASGI_LIFESPAN = {'MIRROR_STATE': False}",
)
async def _a_copy_of_the_scope() -> None:
    await copied(None)


async def copied(content: object) -> None:
    """Send a request with an open object behind a wrapper that copies scopes deeply."""

    async def pool() -> Any:
        yield Pool(content)

    async def nothing(*_: Any) -> None: ...

    declare("pool", pool)
    application = deep(LifespanApplication(nothing))
    async with LifespanDriver(application) as state:
        await ask(application, state=state.copy())


# The event loop of the server


@says(
    "server on trio",
    "Django runs on asyncio alone, because asgiref does, and this worker runs another event loop. "
    "Choose a worker class that runs asyncio (hypercorn: --worker-class asyncio or uvloop, not "
    "trio).",
    "hypercorn: --worker-class asyncio",
)
def _a_server_on_trio() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None: ...

    with pytest.raises(StopIteration):
        drive(LifespanASGIHandler()({"type": "lifespan"}, receive, send))


# Adapters

NO_ADAPTER = "To run without any adapter, set ASGI_LIFESPAN['ADAPTERS'] to None."


@says(
    "server",
    "The adapter django_asgi_lifespan_uvicorn.hooks cannot be imported: ModuleNotFoundError: …. "
    f'Install it anew: pip install "django-asgi-lifespan[uvicorn]>=1". {NO_ADAPTER}',
    'pip install "django-asgi-lifespan[uvicorn]>=1"',
)
def _an_adapter_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("django_asgi_lifespan_uvicorn")
    package.__spec__ = SimpleNamespace(name=package.__name__)  # type: ignore[assignment]
    monkeypatch.setattr(discovery, "SERVERS", ("uvicorn",))
    monkeypatch.setitem(sys.modules, "uvicorn", ModuleType("uvicorn"))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.delitem(sys.modules, f"{package.__name__}.hooks", raising=False)
    get_asgi_application()


@says(
    "settings",
    "The adapter nowhere.hooks cannot be imported: ModuleNotFoundError: No module named 'nowhere'. "
    f"It is named in ASGI_LIFESPAN['ADAPTERS']. {NO_ADAPTER}",
    "It is named in ASGI_LIFESPAN['ADAPTERS']",
)
def _an_adapter_that_is_nowhere(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"ADAPTERS": ["nowhere.hooks"]}
    get_asgi_application()


@says(
    "settings",
    "The adapter copy has no application_made and no lifespan(). It is named in "
    "ASGI_LIFESPAN['ADAPTERS'].",
    "It is named in ASGI_LIFESPAN['ADAPTERS']",
)
def _an_adapter_without_functions(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"ADAPTERS": [copy.__name__]}
    get_asgi_application()


@says(
    "settings",
    "The adapter <class 'queue.Queue'> is no subclass of django_asgi_lifespan.adapters.Adapter. It "
    "is named in ASGI_LIFESPAN['ADAPTERS'].",
    "is no subclass of django_asgi_lifespan.adapters.Adapter",
)
def _an_adapter_of_another_class(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"ADAPTERS": ["queue.Queue"]}
    get_asgi_application()


# The stop of a server


@says(
    "stop",
    "Told to stop while the application starts up: it is interrupted.",
    COURSE,
)
async def _a_stop_during_the_startup() -> None:
    server = FakeServer()
    server.starting = True
    stop = stop_of(server)
    stop.request()
    await stop.run(until_idle=True)


@says("stop", "Waiting at most 10 s for requests in flight: 1 (--graceful-timeout).", COURSE)
@says("stop", "Giving up requests in flight: 1.", COURSE)
async def _a_stop_with_a_limit() -> None:
    await stopped(10)


@says(
    "stop",
    "Waiting without a limit for requests in flight: 1 (set one with --graceful-timeout).",
    "set one with --graceful-timeout",
)
async def _a_stop_without_a_limit() -> None:
    await stopped(None)


@says(
    "stop",
    "Told to stop: not ready any more. The stop begins in 5 s (DRAIN_DELAY).",
    COURSE,
)
async def _a_stop_with_a_drain_delay() -> None:
    stop = delayed_stop(Deadlines(10))
    stop.receive(signal.SIGTERM)
    await stop.run(until_idle=True)


@says(
    "start",
    "The stop of a worker may take 5 s (DRAIN_DELAY) + 15 s (requests in flight) + 20 s "
    "(SHUTDOWN_TIMEOUT) = 40 s, but its parent process kills it after 30 s (--graceful-timeout). "
    "Set --graceful-timeout to 55 or more, or lower the two settings.",
    "Set --graceful-timeout to 55 or more",
)
async def _a_drain_delay_that_cannot_fit() -> None:
    delayed_stop(Deadlines.before_kill(30))


def delayed_stop(deadlines: Deadlines) -> Stop:
    """Return the stop of a server whose project has a drain delay."""
    server = FakeServer()
    clock = asyncio.get_running_loop().time
    stop = Stop(server, deadlines, option="--graceful-timeout", logger=logger, clock=clock)
    stop.lifespan = FakeLifespan(server, phase="running", drain_delay=5)
    return stop


@says(
    "start",
    "DRAIN_DELAY has no effect: no adapter stops the server of this process. Install the one for "
    'your server, such as pip install "django-asgi-lifespan[uvicorn]>=1".',
    'pip install "django-asgi-lifespan[uvicorn]>=1"',
)
async def _a_drain_delay_without_an_adapter(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"DRAIN_DELAY": 5}
    async with LifespanDriver(LifespanASGIHandler()):
        pass


async def stopped(limit: float | None) -> None:
    """Stop a server whose request takes 20 seconds."""
    server = FakeServer()
    server.request("ends", seconds=20)
    stop = stop_of(server, limit)
    stop.request()
    await stop.run(until_idle=True)
    await server.end()


# The end of its process


@says(
    "server process",
    "The supervisor [42] has ended, and so does this worker.",
    COURSE,
)
def _a_supervisor_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    supervisor = SimpleNamespace(sentinel=read, pid=42)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: supervisor)

    async def worker() -> None:
        stopped = asyncio.Event()
        with watch_supervisor(logger, stopped.set):
            os.close(write)
            await asyncio.wait_for(stopped.wait(), 60)

    asyncio.run(worker())
    os.close(read)


@says(
    "server process",
    "The process ends without its threads, which go on: …stuck…. End them at the shutdown.",
    "End them at the shutdown",
)
def _a_thread_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()
    monkeypatch.setattr(os, "_exit", codes.put)
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="stuck")
    thread.start()
    exit_despite_threads(logger, after=0.01)
    codes.get(timeout=60)
    release.set()
    thread.join()


@says(
    "runserver",
    "Code blocks the event loop. The process ends without closing. Run such code in a thread.",
    "Run such code in a thread",
)
def _code_that_blocks_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloader_child, "BLOCKED", 0.2)
    stop_in_thread(lambda function: None, lambda: None, threading.Event(), logger)


@says("runserver", "The process ends before everything is closed.\n", COURSE)
def _a_second_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> str:
    written: list[bytes] = []
    monkeypatch.setattr(os, "_exit", lambda code: None)
    monkeypatch.setattr(os, "write", lambda number, text: written.append(text))
    before = signal.getsignal(signal.SIGINT)
    try:
        reloader_child._exit_at_once()
    finally:
        signal.signal(signal.SIGINT, before)
    return written[0].decode()
