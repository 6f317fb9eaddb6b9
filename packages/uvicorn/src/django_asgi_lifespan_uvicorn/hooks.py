"""What the adapter does under uvicorn's own command, inside the process that serves."""

from __future__ import annotations

from contextlib import AbstractContextManager

from uvicorn.lifespan.on import LifespanOn

from django_asgi_lifespan.protocol import Receive

from .server import Lifespan
from .stopping import find_server, orderly_stop

__all__ = ("application_made", "lifespan")


def application_made(application: object) -> None:
    """Do nothing: which server runs this process is known when its lifespan starts."""


def lifespan(receive: Receive) -> AbstractContextManager[None] | None:
    """Return an orderly stop, where uvicorn drives the lifespan and its twin does not.

    The receive of uvicorn is a method of its ``LifespanOn`` (uvicorn/lifespan/on.py:136).
    """
    driver = getattr(receive, "__self__", None)
    if isinstance(driver, LifespanOn) and not isinstance(driver, Lifespan):
        return orderly_stop(find_server(), driver, exits=False)
    return None
