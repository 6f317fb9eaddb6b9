"""The one client of the project, in a global variable; a stand-in for that of httpx."""

from __future__ import annotations

import sys


class AsyncClient:
    """Tells on stdout what is done with it."""

    def __init__(self) -> None:
        self.is_closed = False
        self._tell("opened")

    async def get(self, url: str) -> str:
        """Return a text for *url*."""
        assert not self.is_closed
        self._tell("used")
        return f"content of {url}"

    async def aclose(self) -> None:
        """Close the client."""
        self.is_closed = True
        self._tell("closed")

    def _tell(self, what: str) -> None:
        sys.stdout.write(f"client {what}\n")
        sys.stdout.flush()


HTTPX_CLIENT: AsyncClient


async def create_httpx_client() -> None:
    """Open the client, in the event loop that serves requests."""
    global HTTPX_CLIENT
    HTTPX_CLIENT = AsyncClient()


async def close_httpx_client() -> None:
    """Close the client."""
    await HTTPX_CLIENT.aclose()
