"""The live server of Channels with the lifespan, for tests with browsers and WebSockets."""

# Channels and daphne have no types:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleVariableOverride=false
from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

from channels.testing import ChannelsLiveServerTestCase
from daphne.endpoints import build_endpoint_description_strings
from daphne.testing import (
    DaphneProcess,
    _reinstall_reactor,  # pyright: ignore[reportPrivateUsage]
)
from django.test.utils import modify_settings

from django_asgi_lifespan import Resource, ShutdownFailedError, StartupFailedError
from django_asgi_lifespan.adapters import SHUTDOWN_FAILURE, exit_despite_threads
from django_asgi_lifespan.errors import describe
from django_asgi_lifespan.testing.under_test import stand_in

__all__ = ("LifespanLiveServerTestCase", "LifespanServerProcess")

POLL = 0.1
"""Seconds between two looks at a process that is starting."""


class LifespanServerProcess(DaphneProcess):
    """The process of Channels' live server, in which daphne runs the lifespan.

    It starts up before the port is open, and shuts down when the process is terminated. Windows
    ends it by force instead.

    Args:
        case: the pickled test case, whose ``lifespan_overrides`` the server obeys.
    """

    def __init__(self, *arguments: Any, case: bytes | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.case = case

    def start(self) -> None:
        """Start the server, and return when it serves.

        Raises:
            StartupFailedError: something failed to start.
        """
        super().start()
        while not self.ready.wait(POLL) and self.is_alive():
            pass
        if not self.ready.is_set():
            raise StartupFailedError(self._read_failure())

    def stop(self) -> None:
        """Stop the server, if it still runs.

        Raises:
            ShutdownFailedError: something failed to stop.
        """
        if self.is_alive():
            self.terminate()
            self.join()
        if self.ready.is_set() and (self.exitcode or 0) > 0:
            raise ShutdownFailedError(self._read_failure())

    def _read_failure(self) -> str:
        if self.errors.empty():
            return f"The server ended with exit code {self.exitcode}. Its log has the reason."
        reason: str = self.errors.get()[0]
        return reason

    def run(self) -> None:
        """Serve until an OS signal stops this process."""
        _reinstall_reactor()
        for name in ("server", "stop"):  # of a forked process, with the reactor of its parent
            sys.modules.pop(f"{__package__}.{name}", None)
        try:
            code = self._serve()
        except BaseException as error:  # SystemExit, too
            self.errors.put((describe(error), traceback.format_exc()))
            raise
        sys.exit(code)

    def _serve(self) -> int:
        from .server import LifespanServer
        from .stop import current, logger, reactor

        with ExitStack() as stack:
            stack.enter_context(modify_settings(ALLOWED_HOSTS={"append": self.host}))
            self.server = LifespanServer(
                application=self.get_application(),
                endpoints=build_endpoint_description_strings(host=self.host, port=self.port.value),
                **self.kwargs,
            )
            overrides = pickle.loads(self.case).lifespan_overrides if self.case else {}
            for resource, value in overrides.items():
                stack.enter_context(stand_in(resource, value))
            if self.setup is not None:
                self.setup()
            reactor.callWhenRunning(self.resolve_port)
            self.server.run()
        served = current()
        if served is None:  # the port could not be opened, as the log says
            return SHUTDOWN_FAILURE
        exit_despite_threads(logger, code=served.exit_code or SHUTDOWN_FAILURE)
        if served.failure:
            self.errors.put((served.failure, ""))
        return served.exit_code


class LifespanLiveServerTestCase(ChannelsLiveServerTestCase):
    """Channels' test case with a live server, which runs the lifespan in its process.

    Attributes:
        lifespan_overrides: the values that stand in for resources in the server, as in
            ``LifespanTestCase``.
    """

    lifespan_overrides: ClassVar[Mapping[Resource[Any], object]] = {}

    @classmethod
    def ProtocolServerProcess(  # type: ignore[override]  # noqa: N802 - Channels calls it
        cls, host: str, get_application: Callable[[], Any], *, setup: Callable[[], object]
    ) -> LifespanServerProcess:
        """Return the process of the server, which ends with this class in any case."""
        case = pickle.dumps(cls) if cls.lifespan_overrides else None
        process = LifespanServerProcess(host, get_application, setup=setup, case=case)
        cls.addClassCleanup(process.stop)
        return process
