"""Two resources that write each step into the journal. One requires the other."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from behaviour import SHUTDOWN, STARTUP

from django_asgi_lifespan import asgi_shutdown, asgi_startup, asgi_stopping, resource
from testkit import gates, journal


@resource
async def base() -> AsyncIterator[list[str]]:
    """Have a list that every request of the worker shares."""
    journal.write("base", "opening")
    journal.write("base", "open")
    try:
        yield []
    finally:
        journal.write("base", "closing")
        journal.write("base", "closed")


@resource(requires=[base])
async def dependent() -> AsyncIterator[str]:
    """Have a value, and misbehave as the scenario asks."""
    journal.write("dependent", "opening")
    await _start()
    journal.write("dependent", "open")
    try:
        yield "value"
    finally:
        journal.write("dependent", "closing")
        await _stop()
        journal.write("dependent", "closed")


async def _start() -> None:
    match STARTUP:
        case "held":
            await gates.hold("startup")
        case "blocking":
            gates.block("startup")
        case "fails":
            raise ValueError("the startup failed on purpose")
        case "exits":
            sys.exit(7)
        case "late":
            await asyncio.sleep(3600)
        case "hangs":
            await _ignore_cancellation()


async def _stop() -> None:
    match SHUTDOWN:
        case "fails":
            raise ValueError("the shutdown failed on purpose")
        case "exits":
            sys.exit(7)
        case "slow":
            await asyncio.sleep(float(os.environ.get("SLOW", "1.5")))
        case "late":
            await asyncio.sleep(3600)
        case "held":
            await gates.hold("shutdown")


async def _ignore_cancellation() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


def _started(**keywords: Any) -> None:
    journal.write("asgi_startup", "sent")
    if STARTUP == "receiver":
        raise ValueError("the startup failed on purpose")


def _stopping(**keywords: Any) -> None:
    journal.write("asgi_stopping", "sent")


def _stopped(**keywords: Any) -> None:
    journal.write("asgi_shutdown", "sent")
    if SHUTDOWN == "receiver":
        raise ValueError("the shutdown failed on purpose")


asgi_startup.connect(_started, weak=False)
asgi_stopping.connect(_stopping, weak=False)
asgi_shutdown.connect(_stopped, weak=False)
