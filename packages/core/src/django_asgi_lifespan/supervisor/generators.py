"""How the generator of a resource goes on after its yield."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

__all__ = ("go_on", "throw")


async def throw(generator: AsyncGenerator[Any], error: BaseException) -> bool | None:
    """Raise *error* at the yield of *generator*, and return whether it is swallowed there."""
    manager = asynccontextmanager(lambda: generator)()
    return await manager.__aexit__(type(error), error, error.__traceback__)


async def go_on(generator: AsyncGenerator[Any]) -> None:
    """Let *generator* go on after its yield, to its end."""
    async for _ in generator:
        await generator.aclose()
        message = "generator didn't stop: it has to yield once, and no more [lifespan-yield]"
        raise RuntimeError(message)
