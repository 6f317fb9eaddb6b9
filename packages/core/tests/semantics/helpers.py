"""Resources that write a journal, and a server's side of a lifespan and of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from django_asgi_lifespan import Resource, resource

Journal = list[str]


def declare(journal: Journal, name: str, **options: Any) -> Resource[str]:
    """Declare a resource that writes down when it opens and closes."""

    async def factory() -> AsyncIterator[str]:
        journal.append(f"{name} opens")
        yield f"value of {name}"
        journal.append(f"{name} closes")

    return resource(factory, name=name, **options)


async def lifespan_messages(
    application: Any, scope: dict[str, Any] | None = None, *, then: Callable[[], Any] | None = None
) -> list[dict[str, Any]]:
    """Return the messages of the application in a whole lifespan. *then* runs in between."""
    sent: list[dict[str, Any]] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        message = next(messages)
        if message["type"] == "lifespan.shutdown" and then is not None:
            then()
        return message

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application({"type": "lifespan"} if scope is None else scope, receive, send)
    return sent


async def request(application: Any, scope: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the application's answer to a request for ``/state/``."""
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/state/",
        "query_string": b"",
        "headers": [],
        **(scope or {}),
    }
    await application(scope, receive, send)
    return sent
