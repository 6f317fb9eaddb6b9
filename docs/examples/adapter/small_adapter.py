"""The adapter of small_server: requests in flight end before the resources close."""

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from small_server import Server

from django_asgi_lifespan import adapters


class SmallServerAdapter(adapters.Adapter):
    def lifespan(self, lifespan: adapters.AdaptedLifespan) -> AbstractContextManager[object] | None:
        for call in adapters.calls("small_server", "Server.serve"):
            server = call.variables["self"]
            if server.is_starting and not adapters.is_held(server):
                return orderly_stop(server, lifespan)
        return None


@contextmanager
def orderly_stop(server: Server, lifespan: adapters.AdaptedLifespan) -> Iterator[None]:
    seconds = float(os.environ.get("SMALL_SERVER_LIMIT", "10"))
    stop = adapters.Stop(
        StoppableServer(server),
        adapters.Deadlines(seconds),
        option="SMALL_SERVER_LIMIT",
        logger=logging.getLogger("small_server"),
        lifespan=lifespan,
    )

    async def run() -> None:
        await stop.run(until_idle=True)
        server.exit()

    with (
        adapters.hold(server),
        adapters.handle_os_signals(adapters.stop_signals(), stop.receive),
    ):
        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()


class StoppableServer:
    def __init__(self, server: Server) -> None:
        self.server = server

    def is_starting(self) -> bool:
        return self.server.is_starting

    def interrupt_startup(self) -> None:
        self.server.lifespan.cancel()

    def stop_listening(self) -> None:
        self.server.listener.close()

    def requests(self) -> list[asyncio.Task[Any]]:
        return list(self.server.requests)

    def disconnect(self) -> None:
        for messages in self.server.requests.values():
            messages.put_nowait({"type": "http.disconnect"})

    def abandon(self) -> None:
        self.server.exit()
