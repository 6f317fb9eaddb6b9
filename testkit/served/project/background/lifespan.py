"""A resource that is a queue with a task behind it, which a task group of the chosen kind holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from django_asgi_lifespan import resource
from testkit import journal


@resource
async def jobs() -> AsyncIterator[asyncio.Queue[str]]:
    """Have a queue of jobs, and a task that does them."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    journal.write("jobs", "opening")
    try:
        async with GROUPS[os.environ["TASK_GROUP"]](queue):
            journal.write("jobs", "open")
            try:
                yield queue
            except asyncio.CancelledError:
                journal.write("jobs", "cancelled")
                raise
            journal.write("jobs", "closing")
    finally:
        journal.write("jobs", "closed")


async def work(queue: asyncio.Queue[str]) -> None:
    """Do the jobs in the queue until cancelled, or until one is bad."""
    journal.write("worker", "started")
    try:
        while True:
            job = await queue.get()
            if job == "bad":
                raise ValueError("a bad job")
            journal.write("worker", f"did {job}")
    finally:
        journal.write("worker", "ended")


@asynccontextmanager
async def anyio_group(queue: asyncio.Queue[str]) -> AsyncIterator[None]:
    """Have the queue worked on in a task group of anyio."""
    async with anyio.create_task_group() as group:
        group.start_soon(work, queue)
        yield
        group.cancel_scope.cancel()


@asynccontextmanager
async def asyncio_group(queue: asyncio.Queue[str]) -> AsyncIterator[None]:
    """Have the queue worked on in a task group of the standard library, since Python 3.11."""
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(work(queue))
        yield
        worker.cancel()


GROUPS = {"anyio": anyio_group, "asyncio": asyncio_group}
