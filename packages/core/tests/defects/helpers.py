"""A server, managers that write a journal, and a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from django_asgi_lifespan.register import register_lifespan_manager

Journal = list[str]
Manager = Callable[[], contextlib.AbstractAsyncContextManager[dict[str, Any]]]


class Server:
    """A server's part in the lifespan of an application, and nothing more.

    Attributes:
        scope: the lifespan scope.
        task: where the application runs. Its exceptions are ignored here.
    """

    def __init__(self, application: Any, *, state: bool = True) -> None:
        self.scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}}
        if state:
            self.scope["state"] = {}
        self._application = application
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def start(self) -> dict[str, Any]:
        """Return the answer to ``lifespan.startup``, an empty one if the application ended."""
        self.task = asyncio.ensure_future(self._run())
        return await self._ask("startup")

    async def stop(self) -> dict[str, Any]:
        """Return the answer to ``lifespan.shutdown``, an empty one if the application ended."""
        answer = await self._ask("shutdown")
        await asyncio.wait({self.task})
        return answer

    async def _run(self) -> None:
        with contextlib.suppress(Exception):
            await self._application(self.scope, self._inbox.get, self._answers.put)

    async def _ask(self, phase: str) -> dict[str, Any]:
        self._inbox.put_nowait({"type": f"lifespan.{phase}"})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({answer, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await asyncio.wait({answer})
            return {}
        return answer.result()


STARTED = {"type": "lifespan.startup.complete"}
STOPPED = {"type": "lifespan.shutdown.complete"}


def manager(journal: Journal, name: str, *, opening: float = 0, closing: float = 0) -> Manager:
    """Register a manager that writes down when it is open and closed, and return it."""

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        await asyncio.sleep(opening)
        journal.append(f"{name} opens")
        yield {name: f"value of {name}"}
        await asyncio.sleep(closing)
        journal.append(f"{name} closes")

    register_lifespan_manager(context_manager=factory)
    return factory


def failing_manager(exception: BaseException, *, after: float = 0) -> None:
    """Register a manager that raises *exception* when it is opened."""

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        await asyncio.sleep(after)
        raise exception
        yield {}

    register_lifespan_manager(context_manager=factory)


async def ask(application: Any, path: str = "/state/", **scope: Any) -> tuple[int, bytes]:
    """Return status and body of the answer to a request."""
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.get_running_loop().create_future()
        return body.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await application({**base, **scope}, receive, send)
    return sent[0]["status"], sent[1]["body"]
