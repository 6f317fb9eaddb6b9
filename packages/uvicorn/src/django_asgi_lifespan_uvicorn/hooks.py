"""The adapter under uvicorn's own command, inside the process that serves."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextlib import AbstractContextManager

import uvicorn

from django_asgi_lifespan.adapters import AdaptedLifespan, Adapter, in_main_thread, is_held

from .server import Lifespan
from .stop import orderly_stop, starting_server

__all__ = ("UvicornAdapter",)


class UvicornAdapter(Adapter):
    """Stops uvicorn in an orderly way, where its ``Server.run()`` runs this process."""

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        """Return the orderly stop for *lifespan*. Under the twin it has begun already."""
        server = starting_server()
        if server is None:
            return None
        if isinstance(server.lifespan, Lifespan):
            return server.lifespan.told_of_stop(lifespan)
        if is_held(server) or not in_main_thread():
            return None
        return _orderly_stop(server, lifespan)


@contextlib.contextmanager
def _orderly_stop(server: uvicorn.Server, lifespan: AdaptedLifespan) -> Generator[None]:
    with orderly_stop(server) as stop:
        stop.lifespan = lifespan
        yield
