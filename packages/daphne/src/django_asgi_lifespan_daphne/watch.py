"""Waiting for daphne to run this process, in order to give it a lifespan.

What is used of daphne here beside its documentation: ``Server.run()`` calls ``reactor.run()``
(daphne/server.py:155 in 4.2.3), and before that adds a trigger that cancels all requests
(daphne/server.py:149).
"""

# daphne has no types:
# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import inspect
from typing import Any

from daphne.server import Server

from django_asgi_lifespan.driver import Application

from .serving import ServedApplication, ShieldedApplication, made, reactor

__all__ = ("watch_reactor",)


def watch_reactor(application: Application) -> None:
    """Give daphne a lifespan as soon as it runs the reactor of this process, if it ever does."""
    if not made and not reactor.running:
        watch = _Watch()
        reactor.callWhenRunning(watch.started)
        # Earlier than that of daphne, and so called before it.
        reactor.addSystemEventTrigger("before", "shutdown", watch.stopping)
    made.append(application)


class _Watch:
    """What happens to the reactor, which others than daphne may run, too."""

    def __init__(self) -> None:
        self._served: ServedApplication | None = None

    def started(self) -> None:
        server = _running_server()
        if server is not None and not isinstance(server.application, ServedApplication):
            self._served = ShieldedApplication(server)
            self._served.begin()

    def stopping(self) -> Any:
        return self._served and self._served.end()


def _running_server() -> Any:
    """Return the server whose ``run()`` has called us, or None if it is not daphne that runs."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is Server.run.__code__:
            return frame.f_locals["self"]
        frame = frame.f_back
    return None
