"""The adapter under daphne's own command, and under its ``runserver``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager
from typing import Any

from django_asgi_lifespan.adapters import AdaptedLifespan, Adapter, Application, hold, is_held

__all__ = ("DaphneAdapter", "applications")

applications: list[Application] = []
"""The applications with a lifespan that this process has made, the outermost last."""


class DaphneAdapter(Adapter):
    """Gives daphne a lifespan, and lets the project know when daphne begins to stop.

    With ``daphne`` in ``INSTALLED_APPS`` its server is loaded in every process of the project.
    Where its server is not loaded, nothing is loaded here either: that would install a reactor of
    Twisted.
    """

    def application_made(self, application: Any) -> None:
        """Wait for daphne to run this process, which it may never do."""
        applications.append(application)
        if "daphne.server" in sys.modules:
            from .stop import watch_reactor

            watch_reactor()

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        """Let the stop of the server whose startup goes on in this event loop know *lifespan*."""
        if "daphne.server" not in sys.modules:
            return None
        from .stop import current

        served = current()
        if (
            served is None
            or served.loop is not asyncio.get_running_loop()
            or not served.is_starting()
            or is_held(served)
        ):
            return None
        served.stop.lifespan = lifespan
        return hold(served)
