"""The signal of django-asgi-lifespan 0.5 whose receivers return context managers. Deprecated."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from .managers import merge
from .sending import live_receivers, send_startup
from .signals import LifespanSignal, contributing

__all__ = ("CompatAsyncSignal", "asgi_lifespan")


class CompatAsyncSignal(LifespanSignal):
    """The class of ``asgi_lifespan`` in django-asgi-lifespan 0.5. Deprecated."""

    async def compat_asend_async_only(
        self, sender: object, **named: Any
    ) -> list[tuple[Callable[..., Any], Any]]:
        """Return what each async receiver for *sender* returned, called at the same time."""
        receivers = [
            receiver
            for receiver in live_receivers(self, sender)
            if inspect.iscoroutinefunction(receiver)
        ]
        calls = [receiver(signal=self, sender=sender, **named) for receiver in receivers]
        return list(zip(receivers, await asyncio.gather(*calls), strict=True))

    async def collect(
        self, calling: Callable[[str], object], /, **arguments: Any
    ) -> Callable[[dict[Any, Any]], dict[Any, Any]]:
        """Send the signal, and return a function that adds the managers to the resources.

        Args:
            calling: is told the name of each receiver before it is called.
        """
        returned = await send_startup(self, calling, **arguments)
        return lambda resources: merge(resources, returned, ())


asgi_lifespan = CompatAsyncSignal()
"""Sent before anything starts, with ``scope`` and ``state``, for projects that used it in 0.5.

A receiver may return a function that returns a context manager. It is entered with the
resources, the mapping that it yields is merged into the state, and it is exited with them. New
projects declare resources.
"""

contributing.append(asgi_lifespan)
