"""Managers that write a journal, and a server's side of a lifespan and of a request."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django_asgi_lifespan.signals import asgi_lifespan, asgi_shutdown, asgi_startup
from django_asgi_lifespan.types import LifespanManager, State

Journal = list[str]
Managed = contextlib.AbstractAsyncContextManager[State]

SIGNALS = {"startup": asgi_startup, "lifespan": asgi_lifespan, "shutdown": asgi_shutdown}


def manager(journal: Journal, name: str, **state: Any) -> Callable[[], Managed]:
    """Return a manager that writes down when it opens and closes, and yields *state*."""

    @contextlib.asynccontextmanager
    async def factory() -> LifespanManager:
        journal.append(f"{name} opens")
        yield dict(state)
        journal.append(f"{name} closes")

    return factory


async def messages(
    application: Any, scope: dict[str, Any] | None = None, *received: str
) -> list[dict[str, Any]]:
    """Return the application's answers to these messages, by default a whole lifespan."""
    sent: list[dict[str, Any]] = []
    inbox = iter(received or ("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> dict[str, Any]:
        return {"type": next(inbox)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application({"type": "lifespan", "state": {}} if scope is None else scope, receive, send)
    return sent


async def ask(application: Any, scope: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Return status and body of the answer to a request for ``/state/``."""
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.get_running_loop().create_future()
        return body.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": "/state/", "query_string": b"", "headers": []}
    await application({**base, **(scope or {})}, receive, send)
    return sent[0]["status"], sent[1]["body"]


def python(script: str, folder: Path) -> list[str]:
    """Return the lines that a new process of Python, started in *folder*, prints for *script*."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


async def fail(**_: Any) -> None:
    """Raise an error, as a receiver."""
    raise ValueError("no luck")
