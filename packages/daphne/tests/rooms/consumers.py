"""A consumer of Channels."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from testkit import gates, journal

from .lifespan import hub


class Room(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Names the resource, by itself and in the state, and writes down its end."""

    wish: str | None = None

    async def connect(self) -> None:
        """Accept everybody, at ``/late/`` when the test lets it."""
        if self.scope["path"] == "/late/":
            await gates.hold("accept")
        await self.accept()
        await self.send(text_data=f"{hub.get()} {self.scope['state']['hub']}")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Fail at once, or obey the client's wish at the end."""
        if text_data == "fail":
            raise LookupError("the consumer failed")
        self.wish = text_data
        await self.send(text_data="noted")

    async def disconnect(self, code: Any) -> None:
        """Use the resource once more."""
        journal.write("room", f"left with {code} and {hub.get()}")
        if self.wish == "fail at the end":
            raise LookupError("the consumer failed")
        if self.wish == "stay":
            try:
                await gates.hold("room")
            except asyncio.CancelledError:
                journal.write("room", "cancelled")
                raise
