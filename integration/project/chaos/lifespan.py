"""Resources and a receiver of random kinds and durations, each step of which is in the journal."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from django_asgi_lifespan import asgi_shutdown, asgi_startup, resource
from testkit import journal

STORY = json.loads(os.environ["CHAOS"])


def make_async(name: str, opening: float, closing: float, fails: str) -> Callable[[], Any]:
    """Return the function of an asynchronous resource."""

    async def step(phase: str, seconds: float, done: str) -> None:
        journal.write(name, phase)
        try:
            await asyncio.sleep(seconds)
        except BaseException:
            journal.write(name, f"{phase} interrupted")
            raise
        _end(name, phase, done, fails)

    async def function() -> AsyncIterator[str]:
        await step("opening", opening, "open")
        try:
            yield name
        finally:
            await step("closing", closing, "closed")

    return function


def make_sync(name: str, opening: float, closing: float, fails: str) -> Callable[[], Any]:
    """Return the function of a synchronous resource."""

    def step(phase: str, seconds: float, done: str) -> None:
        journal.write(name, phase)
        threading.Event().wait(seconds)
        _end(name, phase, done, fails)

    def function() -> Iterator[str]:
        step("opening", opening, "open")
        try:
            yield name
        finally:
            step("closing", closing, "closed")

    return function


def _end(name: str, phase: str, done: str, fails: str) -> None:
    if fails == phase:
        journal.write(name, f"{phase} failed")
        raise ValueError(f"{name} failed on purpose")
    journal.write(name, done)


RESOURCES = [
    resource(
        (make_sync if each["sync"] else make_async)(
            each["name"], each["opening"], each["closing"], each["fails"]
        ),
        name=each["name"],
        requires=each["requires"],
    )
    for each in STORY["resources"]
]


def _receive_sync(**keywords: Any) -> None:
    journal.write("receiver", "begun")
    threading.Event().wait(STORY["receiver"])
    journal.write("receiver", "ended")


async def _receive(**keywords: Any) -> None:
    journal.write("receiver", "begun")
    await asyncio.sleep(STORY["receiver"])
    journal.write("receiver", "ended")


for signal in (asgi_startup, asgi_shutdown):
    signal.connect(_receive_sync if STORY["receiver_sync"] else _receive, weak=False)
