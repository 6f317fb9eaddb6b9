"""The gate in front of an application: its lifespans, and their effect on its requests."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .begun import BegunLifespans
from .lifespans import answering, current_view, lifespans

if TYPE_CHECKING:  # modules for a lifespan or a WebSocket are loaded when one begins
    from collections.abc import Callable

    from .lifespans import Lifespan
    from .probes import Probes
    from .protocol import Application, Receive, Scope, Send
    from .roles import Lender
    from .websockets import OpenWebSockets

__all__ = ("LifespanGate",)


class LifespanGate:
    """Runs the lifespans of one application, and keeps requests out while none has completed.

    Args:
        wrapped: the application whose own lifespans run inside these, if it has any.

    Attributes:
        is_open: HTTP requests need nothing from here: every lifespan of the application that was
            begun is running, no event loop has several, the server puts a ``state`` into each
            request itself, no request is a probe, and Django has its own threads.
    """

    def __init__(self, wrapped: Application | None = None) -> None:
        self.is_open = False
        self._wrapped = wrapped
        self._begun = BegunLifespans()
        self._warned = False
        lifespans.gates.add(self)

    @functools.cached_property
    def _websockets(self) -> OpenWebSockets:
        from .websockets import OpenWebSockets

        return OpenWebSockets()

    @functools.cached_property
    def _put_state(self) -> Callable[[Scope, Lifespan], None]:
        from .mirror import put_state

        return put_state

    @functools.cached_property
    def _probes(self) -> Probes | None:
        """The requests that are answered here, if the settings have any."""
        from .conf import probes_prefix

        prefix = probes_prefix()
        if prefix is None:
            return None
        from .probes import Probes

        return Probes(prefix)

    async def serve(
        self, outermost: Any, application: Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one scope: ``lifespan`` for *outermost* here, others by *application*."""
        if scope["type"] == "lifespan":
            loop = asyncio._get_running_loop()  # None under trio
            if loop is None:
                from .refusals import fail_without_asyncio

                await fail_without_asyncio(receive, send)
            elif (lifespan := _lifespan_around(loop)) is not None:
                await self._run_inner_lifespan(lifespan, scope, receive, send)
            else:
                await self._run_lifespan(loop, outermost, scope, receive, send)
        elif self._probes is not None and (name := self._probes.find(scope)) is not None:
            latest = self._begun.latest_for(asyncio.get_running_loop(), scope)
            if latest is None:
                self._warn_once(scope)
            await self._probes.answer(name, latest, scope, send)
        elif self.is_closed_to(scope):
            from .refusals import refuse

            await refuse(scope, receive, send)
        else:
            threads = self.prepare(scope)
            if scope["type"] == "websocket":
                socket = self._websockets.add(receive, send)
                try:
                    await application(scope, socket.receive, socket.send)
                finally:
                    self._websockets.remove(socket)
            elif threads is not None and scope["type"] == "http":
                await threads.run(application, scope, receive, send)
            else:
                await application(scope, receive, send)

    async def _run_inner_lifespan(
        self, lifespan: Lifespan, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer at once: the scope comes from inside *lifespan*, which runs already.

        It comes from the application that an outer gate runs, or from a resource.
        """
        if self._wrapped is not None:
            await self._wrapped(scope, receive, send)
        else:
            from .mirror import note_deep_copier
            from .protocol import speak_lifespan

            note_deep_copier(lifespan)
            await speak_lifespan(receive, send, contextlib.nullcontext())

    async def _run_lifespan(
        self,
        loop: asyncio.AbstractEventLoop,
        outermost: Any,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        from .lifespan import ProjectLifespan
        from .protocol import speak_lifespan

        adapters = ExitStack()
        project = ProjectLifespan(
            scope,
            adapters=adapters,
            application=outermost,
            wrapped=self._wrapped,
            receive=receive,
            close_websockets=self._websockets.close,
        )
        self.is_open = False
        self._begun.add(loop, project.lifespan)
        try:
            with adapters:
                await speak_lifespan(receive, send, project)
        finally:
            self.is_open = False
            self._begun.remove(loop, project.lifespan)

    def is_closed_to(self, scope: Scope) -> bool:
        """Return whether a request must not be served.

        It must not while the lifespan is starting, or after one that failed to start. Several
        servers go on after such a failure. From the notice of the stop
        on, open WebSockets are being closed, and nobody would tell a new one.
        """
        if scope["type"] not in ("http", "websocket"):
            return False
        latest = self._begun.latest_for(asyncio.get_running_loop(), scope)
        if latest is None or isinstance(latest, str):
            return latest == "failed"
        if scope["type"] == "websocket" and latest.stopping.is_set():
            return latest.phase != "stopped"
        return latest.phase in ("starting", "failed")

    def prepare(self, scope: Scope) -> Lender | None:
        """Put the state into the scope of a request where the server did not.

        Where the event loop has several lifespans, let the one of the request answer it. Return
        the threads that it lends to requests of Django, if the project has any.
        """
        if self._begun.latest is None:
            self._warn_once(scope)
        loop = asyncio.get_running_loop()
        lifespan = self._begun.find(loop, scope)
        threads = lifespan.request_threads if lifespan and self._wrapped is None else None
        if lifespan is None:
            scope.setdefault("state", {})
        elif not (
            lifespan.is_mirrored
            and "state" in scope
            and lifespan.state.keys() <= scope["state"].keys()
        ):
            self._put_state(scope, lifespan)
        else:
            self.is_open = not (self._probes or threads) and self._begun.all_run_alone()
        if len(lifespans.running.get(loop, ())) > 1:
            answering.set(lifespan)
        return threads

    def _warn_once(self, scope: Scope) -> None:
        """Say once that the server has started no lifespan, if anything was to be started.

        Where another application of this process has one, this one stands behind it.
        """
        if self._warned or lifespans.was_begun():
            return
        self._warned = True
        from .refusals import tell_that_nothing_was_opened

        tell_that_nothing_was_opened(scope)


def _lifespan_around(loop: asyncio.AbstractEventLoop) -> Lifespan | None:
    """Return the lifespan in *loop* that calls, from a resource or an application."""
    view = current_view.get()
    if view is None or view.lifespan.loop is not loop or view.lifespan not in lifespans.unfinished:
        return None
    return view.lifespan
