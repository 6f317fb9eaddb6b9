"""The server of this process and its lifespan, as a stop and an adapter see them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from django_asgi_lifespan.protocol import Receive

__all__ = ("AdaptedLifespan", "Server", "hold", "is_held")


class AdaptedLifespan(Protocol):
    """One lifespan of the project, as an adapter sees it.

    Attributes:
        receive: the callable that the server passed with the lifespan scope, or None where no
            server did, as in ``run_lifespan()``. Do not rely on its type: applications in front
            wrap it.
        is_adapted: whether an adapter has returned a context manager for this lifespan.
        shutdown_failed: whether something could not be closed. An application in front may not
            tell the server so.
        drain_delay: seconds between SIGTERM and the begin of the stop.
        is_leaving: whether the stop is about to begin. The worker is not ready any more then.
    """

    receive: Receive | None
    is_adapted: bool
    shutdown_failed: bool
    drain_delay: float
    is_leaving: bool

    @property
    def phase(self) -> str:
        """``"running"`` from the end of the startup until the server begins the shutdown."""
        ...

    def announce_stopping(self) -> object:
        """Let the project know that the server has begun to stop. The first call counts."""
        ...

    def close_websockets(self) -> Coroutine[Any, Any, None]:
        """Close the open WebSockets with 1012, and wait a second at most for their handlers."""
        ...


class Server(Protocol):
    """The server of this process, as its stop needs to know it."""

    def is_starting(self) -> bool:
        """Return whether the startup of the application goes on."""
        ...

    def interrupt_startup(self) -> None:
        """Cancel the startup, which closes the resources that are open."""
        ...

    def stop_listening(self) -> None:
        """Begin the server's own graceful stop: no new connection is accepted."""
        ...

    def requests(self) -> Collection[asyncio.Task[Any]]:
        """Return the tasks of the requests in flight."""
        ...

    def disconnect(self) -> None:
        """Cut off the clients, and let the requests in flight learn that they have gone."""
        ...

    def abandon(self) -> None:
        """Let the lifespan shut down although the server still waits.

        Requests may be left that cannot be cancelled, or a client that has sent half a request.
        """
        ...


_held: list[object] = []


@contextlib.contextmanager
def hold(server: object) -> Generator[None]:
    """Hold *server* for one lifespan, so that an adapter does not find it for a second one."""
    _held.append(server)
    try:
        yield
    finally:
        _held.remove(server)


def is_held(server: object) -> bool:
    """Return whether a lifespan holds *server*."""
    return any(held is server for held in _held)
