"""A small ASGI server, which stops at once: a request in flight finds its resources closed."""

import asyncio
import signal
from typing import Any


class Server:
    def __init__(self, application: Any, port: int) -> None:
        self.application = application
        self.port = port
        self.is_starting = True
        self.requests: dict[Any, asyncio.Queue[Any]] = {}  # the messages to each task

    async def serve(self) -> int:
        self.loop, self.exiting = asyncio.get_running_loop(), asyncio.Event()
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: self.exit())
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self.lifespan = self.loop.create_task(
            self.application(scope, self.messages.get, self.answers.put)
        )
        if not await self.run_phase("startup"):
            return 3
        self.is_starting = False
        self.listener = await asyncio.start_server(self.handle, "127.0.0.1", self.port)
        await self.exiting.wait()
        self.listener.close()
        return 0 if await self.run_phase("shutdown") else 1

    def exit(self) -> None:
        self.loop.call_soon_threadsafe(self.exiting.set)

    async def run_phase(self, phase: str) -> bool:
        self.messages.put_nowait({"type": f"lifespan.{phase}"})
        answer = self.loop.create_task(self.answers.get())
        await asyncio.wait({answer, self.lifespan}, return_when=asyncio.FIRST_COMPLETED)
        return answer.done() and answer.result()["type"] == f"lifespan.{phase}.complete"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
        messages: asyncio.Queue[Any] = asyncio.Queue()
        messages.put_nowait({"type": "http.request"})
        self.requests[asyncio.current_task()] = messages

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                writer.write(b"HTTP/1.0 %d Some reason\r\n\r\n" % message["status"])
            writer.write(message.get("body", b""))

        try:
            await self.application(scope, messages.get, send)
        finally:
            del self.requests[asyncio.current_task()]
            writer.close()
