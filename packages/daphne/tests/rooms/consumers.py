"""A consumer of Channels."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from project import journal

from .lifespan import hub


class Room(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Says what the resource is, by itself and in the state, and writes down its end."""

    async def connect(self) -> None:
        """Accept everybody."""
        await self.accept()
        await self.send(text_data=f"{hub.get()} {self.scope['state']['hub']}")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Fail."""
        raise LookupError("the consumer failed")

    async def disconnect(self, code: Any) -> None:
        """Use the resource once more."""
        journal.write("room", f"left with {code} and {hub.get()}")
