"""The receivers of the Django signals: they start after all the resources and stop before them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from typing import Any

from .errors import ReceiverError
from .filling import fill_state
from .lifespans import Lifespan
from .protocol import Scope
from .signals import asgi_shutdown, asgi_startup, asgi_stopping, send_shutdown, send_startup

__all__ = ("SignalReceivers",)


class SignalReceivers:
    """Sends the signals of one lifespan, in a task of the supervisor's.

    So the supervisor can cancel and abandon a receiver that hangs, as it does with resources.
    """

    name = "the signal receivers"
    startup_timeout = None
    shutdown_timeout = None

    def __init__(self, lifespan: Lifespan, scope: Scope) -> None:
        self._lifespan = lifespan
        self._arguments: dict[str, Any] = {"scope": scope, "state": lifespan.state}
        self._notice: asyncio.Task[None] | None = None

    async def open(self) -> AsyncGenerator[None]:
        await self._send_startup()
        self._context = contextvars.copy_context()
        self._lifespan.announce_stopping = self._begin_stopping
        yield
        failures: list[str] = []
        steps = (self._send_stopping, self._lifespan.close_websockets, self._send_shutdown)
        for step in steps:
            try:
                await step()
            except ReceiverError as error:
                failures.append(str(error))
        if failures:
            raise ReceiverError("; ".join(failures))

    async def _send_startup(self) -> None:
        state, mirror = self._lifespan.state, self._arguments["scope"]["state"]
        before = dict(mirror)
        fill_state(self._lifespan)
        await send_startup(asgi_startup, **self._arguments)
        for key, value in mirror.items():  # those that receivers put there
            if key not in state or (key in before and before[key] is not value):
                state[key] = value
        mirror.update(state)

    def _begin_stopping(self) -> asyncio.Task[None]:
        """Wake those who wait for the stop, and begin to call the receivers, once."""
        if self._notice is None:
            self._lifespan.stopping.set()
            notice = send_shutdown(asgi_stopping, **self._arguments)
            self._notice = self._context.run(asyncio.ensure_future, notice)
        return self._notice

    async def _send_stopping(self) -> None:
        await self._begin_stopping()

    async def _send_shutdown(self) -> None:
        await send_shutdown(asgi_shutdown, **self._arguments)
