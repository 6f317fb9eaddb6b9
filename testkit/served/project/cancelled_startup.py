"""Drives the project's lifespan without a server, in a program that Ctrl+C ends."""

from __future__ import annotations

import asyncio

from django_asgi_lifespan.driver import LifespanDriver
from testkit import journal

from .asgi import application


async def main() -> None:
    """Start up, and never get any further."""
    try:
        await LifespanDriver(application).startup()
    except asyncio.CancelledError:
        journal.write("startup", "cancelled")
        raise
    journal.write("startup", "complete")


if __name__ == "__main__":
    asyncio.run(main())
