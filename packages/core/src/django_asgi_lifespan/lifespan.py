"""One lifespan of a Django project: its settings, resources and receivers under one supervisor."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from .adapters.discovery import enter_lifespan
from .conf import lifespan_settings
from .errors import ReceiverError, StartupFailedError, describe
from .lifespans import Lifespan, no_websockets
from .protocol import Receive, Scope
from .resources import Manager, discover, registry
from .signals import (
    asgi_lifespan,
    asgi_shutdown,
    asgi_startup,
    asgi_stopping,
    count_receivers,
    send_shutdown,
    send_startup,
)
from .supervisor import Supervisor

__all__ = ("ProjectLifespan", "registered")

logger = logging.getLogger("django_asgi_lifespan")


def registered() -> str:
    """Return what a lifespan would have to do, for a person to read. It is empty if nothing."""
    signals = (asgi_lifespan, asgi_startup, asgi_stopping, asgi_shutdown)
    receivers = sum(map(count_receivers, signals))
    return ", ".join([*registry.names(), *([f"{receivers} signal receivers"] if receivers else [])])


class ProjectLifespan:
    """An async context manager inside of which the project's resources run. Use it once.

    Args:
        scope: the lifespan scope. Its ``state``, made if there is none, mirrors ours after the
            startup; what others put there before that is taken over.
        adapters: gets the context managers of the adapters at the startup. The caller closes it
            when the server has the answer to the shutdown. Without it, no adapter is asked.
        application: what functions that take the application get.
        receive: the callable that the server passed with the scope; None without a server.
        close_websockets: awaited at the shutdown, after the notice of it and before anything is
            stopped.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        adapters: ExitStack | None = None,
        application: object = None,
        receive: Receive | None = None,
        close_websockets: Callable[[], Coroutine[Any, Any, None]] = no_websockets,
    ) -> None:
        scope.setdefault("state", {})
        self.lifespan = Lifespan(application, receive=receive)
        self.lifespan.close_websockets = close_websockets
        self._scope = scope
        self._adapters = adapters

    async def __aenter__(self) -> dict[str, Any]:
        """Start everything, and return the state.

        Raises:
            StartupFailedError: something failed; nothing is left open.
        """
        self.lifespan.begin()
        try:
            await self._start()
        except BaseException as error:
            self.lifespan.end(failure=describe(error))
            raise
        self.lifespan.publish()
        return self.lifespan.state

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything.

        Raises:
            ShutdownFailedError: something failed; everything had its turn all the same.
        """
        self.lifespan.begin_stop()
        try:
            await self._supervisor.__aexit__(exception_type, exception, traceback)
        finally:
            self.lifespan.end()

    async def _start(self) -> None:
        state = self.lifespan.state
        state.update(self._scope["state"])
        try:
            if self._adapters is not None:
                enter_lifespan(self._adapters, self.lifespan)
            discover()
            settings = lifespan_settings()
            collected = await send_startup(asgi_lifespan, scope=self._scope, state=state)
            resources = registry.resolve()
            for receivers_before, factory in enumerate(collected):
                if factory is not None:
                    resources[Manager(factory, position=receivers_before + 0.5)] = ()
            if collected:
                resources = dict(sorted(resources.items(), key=lambda item: item[0].position))
            state.update(registry.overridden())
            self.lifespan.resources = resources
            self._supervisor = Supervisor(
                self.lifespan,
                resources,
                receivers=_Announcement(self.lifespan, self._scope),
                startup_timeout=settings.startup_timeout,
                shutdown_timeout=settings.shutdown_timeout,
                level=logging.INFO if resources or registered() else logging.DEBUG,
            )
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except ReceiverError as error:  # in the log already
            raise StartupFailedError(str(error)) from error
        except BaseException as error:
            logger.error("The lifespan cannot start: %s", describe(error), exc_info=error)
            raise StartupFailedError(describe(error)) from error
        await self._supervisor.__aenter__()


class _Announcement:
    """The Django signals, as what starts after all the resources and stops before them.

    So the receivers of all run in tasks that the supervisor can cancel and abandon when one of
    them hangs, as it does with resources.
    """

    name = "the signal receivers"
    startup_timeout = None
    shutdown_timeout = None

    def __init__(self, lifespan: Lifespan, scope: Scope) -> None:
        self._lifespan = lifespan
        self._arguments: dict[str, Any] = {"scope": scope, "state": lifespan.state}
        self._notice: asyncio.Task[None] | None = None

    async def open(self) -> AsyncGenerator[None]:
        state, mirror = self._lifespan.state, self._arguments["scope"]["state"]
        before = dict(mirror)
        self._lifespan.fill_state()
        await send_startup(asgi_startup, **self._arguments)
        for key, value in mirror.items():  # those that receivers put there
            if key not in state or (key in before and before[key] is not value):
                state[key] = value
        mirror.update(state)
        self._context = contextvars.copy_context()
        self._lifespan.announce_stopping = self._announce_stopping
        yield
        failures: list[str] = []
        for step in (self._notify, self._lifespan.close_websockets, self._say_goodbye):
            try:
                await step()
            except ReceiverError as error:
                failures.append(str(error))
        if failures:
            raise ReceiverError("; ".join(failures))

    def _announce_stopping(self) -> asyncio.Task[None]:
        """Wake those who wait for the stop, and begin to call the receivers, once."""
        if self._notice is None:
            self._lifespan.stopping.set()
            notice = send_shutdown(asgi_stopping, **self._arguments)
            self._notice = self._context.run(asyncio.ensure_future, notice)
        return self._notice

    async def _notify(self) -> None:
        await self._announce_stopping()

    async def _say_goodbye(self) -> None:
        await send_shutdown(asgi_shutdown, **self._arguments)
