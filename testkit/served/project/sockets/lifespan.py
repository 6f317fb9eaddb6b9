"""One resource, and a receiver of the notice before the stop."""

from __future__ import annotations

from collections.abc import AsyncIterator

from django_asgi_lifespan import asgi_stopping, resource
from testkit import journal


@resource
async def hub() -> AsyncIterator[str]:
    """Have something that WebSockets use."""
    journal.write("hub", "open")
    yield "hub"
    journal.write("hub", "closed")


async def note(**_: object) -> None:
    """Write down that the server has begun to stop."""
    journal.write("server", "stopping")


asgi_stopping.connect(note)
