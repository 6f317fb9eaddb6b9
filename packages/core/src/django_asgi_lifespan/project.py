"""One lifespan of a Django project: its settings, resources and receivers under one supervisor."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from django.utils.module_loading import autodiscover_modules

from .conf import lifespan_settings
from .errors import StartupFailedError, describe
from .protocol import Scope
from .resources import registry
from .signals import asgi_shutdown, asgi_startup, count_receivers, send_shutdown, send_startup
from .state import Lifespan, Phase
from .supervisor import Supervisor

__all__ = ("ProjectLifespan", "discover", "registered")

logger = logging.getLogger("django_asgi_lifespan")


def discover() -> None:
    """Import the ``lifespan`` module of every installed Django app, unless the settings forbid it.

    Raises:
        ImproperlyConfigured: ``ASGI_LIFESPAN`` is wrong.
        Exception: whatever such a module raises.
    """
    if lifespan_settings().autodiscover:
        autodiscover_modules("lifespan")


def registered() -> str:
    """Return what a lifespan would have to do, for a person to read; empty if nothing."""
    receivers = count_receivers(asgi_startup) + count_receivers(asgi_shutdown)
    return ", ".join([*registry.names(), *([f"{receivers} signal receivers"] if receivers else [])])


class ProjectLifespan:
    """An async context manager inside of which the project's resources run; to be used once.

    Args:
        scope: the lifespan scope. Its ``state``, made if there is none, mirrors ours after the
            startup; what others put there before that is taken over.
    """

    def __init__(self, scope: Scope) -> None:
        scope.setdefault("state", {})
        self.lifespan = Lifespan()
        self._scope = scope

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
        self.lifespan.phase = Phase.STOPPING
        try:
            await self._supervisor.__aexit__(exception_type, exception, traceback)
        finally:
            self.lifespan.end()

    async def _start(self) -> None:
        try:
            discover()
            settings = lifespan_settings()
            resources = registry.resolve()
            self.lifespan.resources = frozenset(resources)
            self._supervisor = Supervisor(
                self.lifespan,
                resources,
                last=_Announcement(self.lifespan, self._scope),
                startup_timeout=settings.startup_timeout,
                shutdown_timeout=settings.shutdown_timeout,
                level=logging.INFO if registered() else logging.DEBUG,
            )
        except BaseException as error:
            logger.error("The lifespan cannot start: %s", describe(error), exc_info=error)
            raise StartupFailedError(describe(error)) from error
        await self._supervisor.__aenter__()


class _Announcement:
    """The Django signals, as what starts after all the resources and stops before them.

    So the receivers of both run in one task, which the supervisor can cancel and abandon when
    one of them hangs, as it does with resources.
    """

    name = "the signal receivers"
    startup_timeout = None
    shutdown_timeout = None

    def __init__(self, lifespan: Lifespan, scope: Scope) -> None:
        self._lifespan = lifespan
        self._scope = scope

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        state = self._lifespan.state
        mirror = self._scope["state"]
        state.update(mirror)
        self._lifespan.fill_state()
        await send_startup(asgi_startup, scope=self._scope, state=state)
        for key, value in mirror.items():
            state.setdefault(key, value)
        mirror.update(state)
        yield
        await send_shutdown(asgi_shutdown, scope=self._scope, state=state)
