"""Three resources, each requiring the one before, that obey the environment.

``CACHE_OPENING`` and the like, for every resource and for ``OPENING`` and ``CLOSING``, take words
that are obeyed from left to right: ``held`` waits for the test, ``blocked`` does so without letting
anything else run, ``stuck`` waits for ever, ``deaf`` does so and ignores its cancellation, ``fail``
raises an exception, ``exit`` SystemExit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from django_asgi_lifespan import resource
from testkit import gates, journal


@resource
async def pool() -> AsyncIterator[str]:
    """Have the first."""
    async with journaled("pool"):
        yield "pool"


@resource(requires=[pool])
async def cache() -> AsyncIterator[str]:
    """Have the second, made of the first."""
    async with journaled("cache"):
        yield f"cache of {pool.get()}"


@resource(requires=[cache])
async def search() -> AsyncIterator[str]:
    """Have the third, made of the second."""
    async with journaled("search"):
        yield f"search in {cache.get()}"


@asynccontextmanager
async def journaled(name: str) -> AsyncIterator[None]:
    """Tell the journal how the resource fares."""
    await obey(name, "opening")
    journal.write(name, "open")
    yield
    await obey(name, "closing")
    journal.write(name, "closed")


async def obey(name: str, phase: str) -> None:
    """Obey the words that the environment has for this phase of the resource."""
    journal.write(name, phase)
    await asyncio.sleep(0)  # a resource that does not wait for its turn gets ahead here
    for word in os.environ.get(f"{name}_{phase}".upper(), "").split():
        if word == "fail":
            raise RuntimeError(f"{name} failed in {phase}")
        if word == "exit":
            raise SystemExit(7)
        if word == "blocked":
            gates.block(name)
            continue
        while word == "deaf":
            with contextlib.suppress(asyncio.CancelledError):
                await stuck(name)
        try:
            await (stuck(name) if word == "stuck" else gates.hold(name))
        except asyncio.CancelledError:
            journal.write(name, "cancelled")
            raise


async def stuck(name: str) -> None:
    """Wait for ever, and tell the journal once no code of the resource is running.

    On Python 3.10 a KeyboardInterrupt is raised in the code that is running.
    """
    asyncio.get_running_loop().call_soon(journal.write, name, "stuck")
    await asyncio.Event().wait()
