"""The receivers of the Django signals: they start after all the resources and stop before them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable
from typing import Any

from django.dispatch import Signal

from .errors import ReceiverError
from .filling import fill_state
from .lifespans import Lifespan
from .protocol import Scope
from .sending import send_shutdown, send_startup
from .signals import asgi_shutdown, asgi_startup, asgi_stopping, contributing
from .supervisor.limits import Limits
from .supervisor.report import Report

__all__ = ("SignalReceivers", "contributions")


async def contributions(
    lifespan: Lifespan, scope: Scope, *, warning: float | None
) -> list[Callable[[dict[Any, Any]], dict[Any, Any]]]:
    """Send the signals whose receivers add resources, and return the functions that add them.

    Args:
        warning: seconds after which the log names the receiver that is being called, or None.
    """
    called: list[str] = []

    def calling(receiver: str) -> None:
        called[:] = [f"the signal receivers ({receiver})"]

    limits = Limits(lifespan.loop)
    limits.remind(warning, lambda seconds: Report.startup_goes_on(seconds, called))
    try:
        arguments: dict[str, Any] = {"scope": scope, "state": lifespan.state}
        return [await signal.collect(calling, **arguments) for signal in contributing]
    except asyncio.CancelledError:
        Report.startup_interrupted(called)
        raise
    finally:
        limits.end_phase()


class SignalReceivers:
    """Sends the signals of one lifespan, in a task of the supervisor's.

    So the supervisor can cancel and abandon a receiver that hangs, as it does with resources.
    """

    startup_timeout = None
    shutdown_timeout = None
    keep_connections = False

    def __init__(self, lifespan: Lifespan, scope: Scope) -> None:
        self._lifespan = lifespan
        signals: tuple[Signal, Signal, Signal] = (asgi_startup, asgi_stopping, asgi_shutdown)
        if lifespan.is_partial:  # then nobody is told of it
            signals = (Signal(), Signal(), Signal())
        self._startup, self._stopping, self._shutdown = signals
        self._arguments: dict[str, Any] = {"scope": scope, "state": lifespan.state}
        self._notice: asyncio.Task[None] | None = None
        self._called = ""

    @property
    def name(self) -> str:
        """The name that messages call them by, with the receiver that is being called."""
        return f"the signal receivers ({self._called})" if self._called else "the signal receivers"

    def _calling(self, receiver: str) -> None:
        self._called = receiver

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
            self._called = ""
        if failures:
            raise ReceiverError("; ".join(failures))

    async def _send_startup(self) -> None:
        state, mirror = self._lifespan.state, self._arguments["scope"]["state"]
        before = dict(mirror)
        fill_state(self._lifespan)
        await send_startup(self._startup, self._calling, **self._arguments)
        self._called = ""
        for key, value in mirror.items():  # those that receivers put there
            if key not in state or (key in before and before[key] is not value):
                state[key] = value
        mirror.update(state)

    def _begin_stopping(self) -> asyncio.Task[None]:
        """Wake those who wait for the stop, and begin to call the receivers, once."""
        if self._notice is None:
            self._lifespan.stopping.set()
            notice = send_shutdown(self._stopping, self._calling, **self._arguments)
            self._notice = self._context.run(asyncio.ensure_future, notice)
        return self._notice

    async def _send_stopping(self) -> None:
        await self._begin_stopping()

    async def _send_shutdown(self) -> None:
        await send_shutdown(self._shutdown, self._calling, **self._arguments)
