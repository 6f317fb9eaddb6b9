"""daphne's server, whose application starts up before the port is open.

``Server.run()`` opens the ``endpoints``, and adds ``kill_all_applications()`` as a trigger before
the shutdown of the reactor (daphne/server.py:133 and daphne/server.py:149 in 4.2.3).
"""

# daphne has no types, and Twisted not all:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

from daphne.server import Server
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.python.failure import Failure

from django_asgi_lifespan.adapters import RELOAD_LIMIT

from .stop import ServedApplication, reactor

__all__ = ("LifespanServer",)

logger = logging.getLogger("daphne.server")


class LifespanServer(Server):
    """Daphne's server inside of a lifespan. It takes the same arguments."""

    def run(self) -> None:
        """Start up, serve until told to stop, and shut down."""
        endpoints, self.endpoints = self.endpoints, []
        self._try_addresses(endpoints)
        self._served = ServedApplication(
            self,
            is_ready=functools.partial(self._listen, endpoints),
            limit_of_reload=RELOAD_LIMIT,
        )
        reactor.callWhenRunning(self._served.begin)
        super().run()

    def kill_all_applications(self) -> Deferred[None]:
        """Let the applications end, and shut down. daphne calls it when it is told to stop."""
        return self._served.end()

    def listen_error(self, failure: Failure) -> None:
        """End with 1, as daphne does where a port is in use."""
        self.abort_start = True
        super().listen_error(failure)

    def _try_addresses(self, endpoints: Sequence[str]) -> None:
        """Find out whether the ports are free, so that nothing is started where one is in use."""
        for description in endpoints:
            endpoint = serverFromString(_Binding(), description)
            if description.startswith(("tcp:", "ssl:")):
                endpoint.listen(Factory()).addErrback(self.listen_error)

    def _listen(self, endpoints: Sequence[str]) -> None:
        for description in endpoints:
            logger.info("Configuring endpoint %s", description)
            listening: Deferred[Any] = serverFromString(reactor, description).listen(
                self.http_factory
            )
            listening.addCallbacks(self.listen_success, self.listen_error)


class _Binding:
    """Stands for the reactor: an endpoint binds its socket here, and no client can connect."""

    def listenTCP(  # noqa: N802 - Twisted's name
        self, port: int, factory: Any, *, interface: str, **options: object
    ) -> None:
        with Port(port, factory, interface=interface).createInternetSocket() as each:
            each.bind((interface, port))

    listenSSL = listenTCP  # noqa: N815 - Twisted's name
