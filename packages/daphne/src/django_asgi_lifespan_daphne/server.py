"""daphne's server, whose application starts up before the port is open.

What it relies on in daphne beside what ``serving.py`` lists: ``Server.run()`` opens the
``endpoints``, and adds ``kill_all_applications()`` as a trigger before the shutdown of the reactor
(daphne/server.py:133 and daphne/server.py:149 in 4.2.3).
"""

# daphne has no types, and Twisted not all:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false
from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Sequence
from typing import Any

from daphne.server import Server
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from django_asgi_lifespan.process import end_process

from .serving import ServedApplication, reactor

__all__ = ("LifespanServer",)

logger = logging.getLogger("daphne.server")

RELOAD_PATIENCE = 1.0
"""Seconds that requests in flight get at a reload: nobody wants to wait for a stream."""


class LifespanServer(Server):
    """Daphne's server inside of a lifespan; takes the same arguments."""

    def run(self) -> None:
        """Start up, serve until told to stop, shut down.

        Raises:
            SystemExit: with 3 where the application did not start up, with 1 where it did not
                shut down as it should.
        """
        endpoints, self.endpoints = self.endpoints, []
        self._try_addresses(endpoints)
        self._served = ServedApplication(
            self,
            is_ready=functools.partial(self._listen, endpoints),
            reload_patience=RELOAD_PATIENCE,
        )
        reactor.callWhenRunning(self._served.begin)
        super().run()
        if threading.current_thread() is threading.main_thread():
            end_process(logger)
        if self._served.exit_code:
            sys.exit(self._served.exit_code)

    def kill_all_applications(self) -> Deferred[None]:
        """Let the applications end, and shut down; daphne calls it when it is told to stop."""
        return self._served.end()

    def listen_error(self, failure: Failure) -> None:
        """End with 1, as daphne does where a port is in use."""
        self.abort_start = True
        super().listen_error(failure)

    def _try_addresses(self, endpoints: Sequence[str]) -> None:
        """Open the ports for a moment, so that nothing is started where one is in use."""
        for description in endpoints:
            endpoint = serverFromString(reactor, description)
            if description.startswith("tcp:"):
                listening: Deferred[Any] = endpoint.listen(Factory())
                listening.addCallbacks(lambda port: port.stopListening(), self.listen_error)

    def _listen(self, endpoints: Sequence[str]) -> None:
        for description in endpoints:
            logger.info("Configuring endpoint %s", description)
            listening: Deferred[Any] = serverFromString(reactor, description).listen(
                self.http_factory
            )
            listening.addCallbacks(self.listen_success, self.listen_error)
