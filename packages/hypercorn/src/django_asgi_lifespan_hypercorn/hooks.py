"""What the adapter does inside a process of hypercorn's that serves."""

from __future__ import annotations

from contextlib import AbstractContextManager

from hypercorn.asyncio.lifespan import Lifespan

from django_asgi_lifespan.protocol import Receive

from .worker import OrderlyStop

__all__ = ("application_made", "lifespan")


def application_made(application: object) -> None:
    """Do nothing: which server runs this process is known when its lifespan starts."""


def lifespan(receive: Receive) -> AbstractContextManager[None] | None:
    """Return an orderly stop, where hypercorn's command or its twin runs this process.

    hypercorn's receive is a method of its ``Lifespan`` (hypercorn/asyncio/lifespan.py:108 in
    0.18.0), whose configuration names the application only if hypercorn itself has imported it: a
    program that calls hypercorn's ``serve()`` looks after its own end.
    """
    server = getattr(receive, "__self__", None)
    if isinstance(server, Lifespan) and hasattr(server.config, "application_path"):
        return OrderlyStop(server)
    return None
