"""The state of the lifespan that answers here, and the notice of its stop."""

from __future__ import annotations

import asyncio
from typing import Any

from .errors import ResourceUnavailableError
from .lifespans import Lifespan, lifespans

__all__ = ("announce_stopping", "close_websockets", "get_state", "stopping")


def get_state() -> dict[str, Any]:
    """Return the state of the running lifespan, itself and not a copy: a value for each name.

    It is found as ``.get()`` of a resource finds its lifespan.

    Raises:
        ResourceUnavailableError: where no lifespan provides a state. The message says why.
    """
    from .lookup import find_state

    return find_state()


async def stopping() -> None:
    """Return when the server has begun to stop, as early as it lets us know.

    For responses that would otherwise go on for ever: streams, WebSockets, long polls. In an
    event loop whose lifespan has ended it returns at once.

    Raises:
        ResourceUnavailableError: where no lifespan has run. The message says why.
    """
    loop = asyncio._get_running_loop()
    if loop is None:  # under trio
        from .lookup import REASONS

        reason = REASONS["no asyncio"]
        raise ResourceUnavailableError(f"The notice of the stop is not available: {reason}")
    if loop not in lifespans.ended_in:
        from .lookup import find_lifespan

        await find_lifespan("The notice of the stop").stopping.wait()


def announce_stopping() -> None:
    """Let the lifespan of the server in this event loop know that the server has begun to stop.

    For the adapters of servers, which know it before the shutdown. Call it in the loop, as often
    as you like. Where an adapter was entered for a lifespan, others are not told: one that a view
    runs goes on.
    """
    for lifespan in _adapted():
        lifespan.announce_stopping()


async def close_websockets() -> None:
    """Close the open WebSockets of the server in this event loop with 1012, "service restart".

    For the adapters of servers that forget them. It waits a second at most for their handlers to
    end. Without it they are closed when the lifespan shuts down.
    """
    await asyncio.gather(*[lifespan.close_websockets() for lifespan in _adapted()])


def _adapted() -> list[Lifespan]:
    """Return the lifespans of this event loop that an adapter was entered for, or else all."""
    here = lifespans.running.get(asyncio.get_running_loop(), [])
    return [lifespan for lifespan in here if lifespan.is_adapted] or list(here)
