"""One lifespan of a Django project: its settings, resources and receivers under one supervisor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from django.conf import settings as django_settings

from .adapters.discovery import enter_lifespan
from .conf import lifespan_settings
from .errors import ReceiverError, ShutdownFailedError, StartupFailedError, describe, shorten
from .last_resort import log, reasons, show
from .lifespans import Lifespan, no_websockets
from .protocol import Application, Receive, Scope
from .receivers import SignalReceivers, contributions
from .registry import discover, registry
from .sending import count_receivers
from .signals import asgi_shutdown, asgi_startup, asgi_stopping, contributing
from .supervisor import Supervised, Supervisor

__all__ = ("ProjectLifespan", "registered")

logger = logging.getLogger("django_asgi_lifespan")


def registered() -> str:
    """Return what a lifespan would have to do, for a person to read. It is empty if nothing."""
    signals = (*contributing, asgi_startup, asgi_stopping, asgi_shutdown)
    receivers = sum(map(count_receivers, signals))
    return ", ".join([*registry.names(), *([f"{receivers} signal receivers"] if receivers else [])])


class ProjectLifespan:
    """An async context manager inside of which the project's resources run. Use it once.

    Args:
        scope: the lifespan scope. Its ``state``, made if there is none, mirrors ours after the
            startup, unless the settings forbid it. Keys that others put there before are taken
            over.
        adapters: gets the context managers of the adapters at the startup. The caller closes it
            when the server has the answer to the shutdown. Without it, no adapter is asked.
        application: is passed to resource functions that take the application.
        wrapped: the application whose own lifespan runs inside this one, if it has any.
        receive: the callable that the server passed with the scope, or None without a server.
        close_websockets: awaited at the shutdown, after the notice of it and before anything is
            stopped.
        only: the resources, or names of resources, that start with those that they require. Nothing
            else does, and no Django signal is sent. Without it, everything starts. The server of a
            test passes it in the scope, as ``django_asgi_lifespan.only``.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        adapters: ExitStack | None = None,
        application: object = None,
        wrapped: Application | None = None,
        receive: Receive | None = None,
        close_websockets: Callable[[], Coroutine[Any, Any, None]] = no_websockets,
        only: Iterable[object] | None = None,
    ) -> None:
        scope.setdefault("state", {})
        only = scope.get("django_asgi_lifespan.only", only)
        self.lifespan = Lifespan(application, receive=receive)
        self.lifespan.close_websockets = close_websockets
        self.lifespan.is_partial = only is not None
        self._only = only
        self._scope = scope
        self._adapters = adapters
        self._wrapped = wrapped

    async def __aenter__(self) -> dict[str, Any]:
        """Start everything, and return the state.

        Raises:
            StartupFailedError: something failed, and nothing is left open.
        """
        logger.disabled = False  # by a LOGGING that leaves out "disable_existing_loggers"
        self.lifespan.begin()
        try:
            await self._start()
            if self.lifespan.receive is not None and self.lifespan.is_mirrored:
                from .mirror import check_copies

                check_copies(self.lifespan, self._scope["state"])
        except BaseException as error:
            if isinstance(error, StartupFailedError):
                reasons.append(str(error))
            self.lifespan.end(failure=describe(error))
            raise
        self.lifespan.publish()
        names = [resource.name for resource in self.lifespan.resources]
        if names and django_settings.DEBUG and self.lifespan.receive is not None:
            show(logger, "Opened: %s", ", ".join(shorten(names)))
        return self.lifespan.state

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything.

        Raises:
            ShutdownFailedError: something failed, but everything had its turn all the same.
        """
        logger.disabled = False  # logging may have been configured anew since the startup
        self.lifespan.begin_stop()
        try:
            await self._supervisor.__aexit__(exception_type, exception, traceback)
        except ShutdownFailedError as failure:
            self.lifespan.shutdown_failed = True
            reasons.append(str(failure))
            raise
        finally:
            self.lifespan.end()

    async def _start(self) -> None:
        state = self.lifespan.state
        state.update(self._scope["state"])
        try:
            settings = lifespan_settings()
            self.lifespan.drain_delay = settings.drain_delay
            if self._adapters is not None:
                enter_lifespan(self._adapters, self.lifespan)
                self._warn_without_delay()
            discover()
            if not settings.mirror_state:
                self.lifespan.is_mirrored = False
                self._scope = {**self._scope, "state": {**self._scope["state"]}}
            resources = await self._resources(warning=settings.startup_warning)
            state.update(registry.overridden())
            self.lifespan.resources = resources
            level = logging.INFO if resources or registered() else logging.DEBUG
            self._supervisor = Supervisor(
                self.lifespan,
                resources,
                request_threads=self._request_threads(settings.request_threads),
                application=self._wrapped_lifespan(level),
                receivers=SignalReceivers(self.lifespan, self._scope),
                startup_timeout=settings.startup_timeout,
                startup_warning=settings.startup_warning,
                shutdown_timeout=settings.shutdown_timeout,
                level=level,
            )
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except ReceiverError as error:  # in the log already
            raise StartupFailedError(str(error)) from error
        except BaseException as error:
            reason = describe(error)
            log(logger, logging.ERROR, "The lifespan cannot start: %s", reason, exc_info=error)
            raise StartupFailedError(reason) from error
        await self._supervisor.__aenter__()

    def _warn_without_delay(self) -> None:
        lifespan = self.lifespan
        if lifespan.drain_delay and lifespan.receive is not None and not lifespan.is_adapted:
            log(
                logger,
                logging.WARNING,
                "DRAIN_DELAY has no effect: no adapter stops the server of this process. Install "
                'the one for your server, such as pip install "django-asgi-lifespan[uvicorn]>=1". '
                "[lifespan-no-delay]",
            )

    async def _resources(self, *, warning: float | None) -> Mapping[Any, Sequence[Any]]:
        """Return each resource that has to start, with those that it requires."""
        if self._only is not None:
            from .selection import select

            return select(registry.resolve(), self._only, registry.named())
        adds = await contributions(self.lifespan, self._scope, warning=warning)
        resources = registry.resolve()
        for add_resources in adds:
            resources = add_resources(resources)
        return resources

    def _request_threads(self, keep: int | None) -> Supervised | None:
        if keep is None:
            return None
        from .request_threads import RequestThreads

        return RequestThreads(self.lifespan, keep)

    def _wrapped_lifespan(self, level: int) -> Supervised | None:
        if self._wrapped is None:
            return None
        from .applications import ApplicationLifespan

        return ApplicationLifespan(self.lifespan, self._wrapped, level=level)
