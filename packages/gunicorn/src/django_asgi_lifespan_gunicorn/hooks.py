"""What the core calls in every process that has gunicorn loaded."""

from __future__ import annotations

from contextlib import AbstractContextManager

from django_asgi_lifespan.protocol import Receive

__all__ = ("application_made", "lifespan")


def application_made(application: object) -> None:
    """Do nothing: this may be the arbiter, or no gunicorn at all."""


def lifespan(receive: Receive) -> AbstractContextManager[None] | None:
    """Return None."""
    return None
