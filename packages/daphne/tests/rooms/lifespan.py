"""One resource, and a receiver of the notice before the stop."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async

from django_asgi_lifespan import asgi_stopping, resource
from testkit import journal


@resource
async def hub() -> AsyncIterator[str]:
    """Have something that views and consumers use."""
    journal.write("hub", "open")
    yield "hub"
    if os.environ.get("HUB_CLOSING") == "thread":
        await sync_to_async(journal.write)("hub", "in a thread")
    journal.write("hub", "closed")


async def note(**_: object) -> None:
    """Write down that the server has begun to stop."""
    journal.write("server", "stopping")


asgi_stopping.connect(note)
