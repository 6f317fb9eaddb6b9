"""uvicorn's own classes, with the changes that the twin of its command needs.

``tests/seams.py`` lists the private parts of uvicorn on which this package relies.

Overridden:

- ``Config.load_app``, ``load`` and ``get_loop_factory`` (config.py:431, config.py:439,
  config.py:555)
- ``Server.startup`` (server.py:115)
- ``LifespanOn.logger``, ``startup``, ``shutdown`` and ``main`` (lifespan/on.py:37,
  lifespan/on.py:47, lifespan/on.py:64, lifespan/on.py:78).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import HANDLED_SIGNALS

from django_asgi_lifespan.adapters import (
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    AdaptedLifespan,
    Stop,
    exit_despite_threads,
    in_main_thread,
    log,
    log_failure,
)

from .stop import logger, orderly_stop, starting_server

__all__ = ("Config", "Lifespan", "Server")


class Lifespan(LifespanOn):
    """The lifespan of a process that ends with it.

    Attributes:
        stop: the orderly stop, once the lifespan runs.
    """

    stop: Stop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.logger: Any = _Log()  # the application may have disabled that of uvicorn

    def told_of_stop(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        """Let *lifespan*, one of the project, know of the stop, unless another one does."""
        if self.stop is None or self.stop.lifespan is not None:
            return None
        self.stop.lifespan = lifespan
        return contextlib.nullcontext()

    async def main(self) -> None:
        server = starting_server()
        if server is None:  # in an event loop of a program
            await super().main()
            return
        with orderly_stop(server) as self.stop:
            await super().main()
        if in_main_thread():
            is_failed = self.startup_failed and not self.stop.has_begun
            exit_despite_threads(logger, code=STARTUP_FAILURE if is_failed else SHUTDOWN_FAILURE)

    async def startup(self) -> None:
        server = starting_server()
        if getattr(self.config, "is_told", False) or (server is not None and server.should_exit):
            sys.exit()  # there is nothing to close yet
        await super().startup()
        if self.startup_failed and self.stop is not None and self.stop.has_begun:
            sys.exit()  # it was interrupted, and has not failed
        if self.error_occurred and not self.startup_failed:
            log(
                logger,
                logging.ERROR,
                "The application does not speak the lifespan protocol. In asgi.py, import "
                "get_asgi_application from django_asgi_lifespan.asgi, or put LifespanApplication "
                "from there around the application. [lifespan-unsupported]",
            )

    async def shutdown(self) -> None:
        await super().shutdown()
        if self.shutdown_failed:
            sys.exit(SHUTDOWN_FAILURE)


class _Log:
    """uvicorn's log, in which a failure is never silent."""

    def info(self, message: str) -> None:
        log(logger, logging.INFO, message)

    def error(self, message: str, exc_info: BaseException | None = None) -> None:
        if exc_info is None:
            log_failure(logger, "%s", message)
        else:
            log(logger, logging.ERROR, message, exc_info=exc_info)


class Config(uvicorn.Config):
    """The configuration that takes this package's lifespan into every process.

    Attributes:
        is_serving: whether an OS signal stops the server, and does not end the process at once.
        is_told: whether an OS signal arrived while uvicorn did not handle them.
    """

    is_serving = False
    is_told = False

    def handle_os_signals(self) -> None:
        """End this process at an OS signal that comes before it serves."""
        for number in HANDLED_SIGNALS:
            signal.signal(number, self._receive)

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        # uvicorn calls it in the process that serves, right before it takes over the OS signals
        # (uvicorn/server.py:86). At its end it gives them back (uvicorn/server.py:344), and raises
        # them once more. A handler of the project is called then, and ours lets the process end.
        if in_main_thread():
            self.is_serving = True
            for number in HANDLED_SIGNALS:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    signal.signal(number, self._receive)
        with self._boot_failure("The event loop cannot be loaded. [lifespan-event-loop]"):
            return super().get_loop_factory()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        is_first = not self.is_told
        self.is_told = True
        if is_first and not self.is_serving:
            sys.exit()

    def load_app(self) -> Any:
        with self._boot_failure("The application cannot be loaded. [lifespan-application]"):
            return super().load_app()

    def load(self) -> None:
        with self._boot_failure("The server cannot be configured. [lifespan-server]"):
            super().load()
        if self.lifespan != "off":
            self.lifespan_class = Lifespan

    @contextlib.contextmanager
    def _boot_failure(self, message: str) -> Generator[None]:
        """End the process with 3 at every exception, unless it was told to end.

        A worker that ended with another exit code would be started again, for ever
        (uvicorn/supervisors/multiprocess.py:225).
        """
        try:
            yield
        except Exception as error:
            if self.is_told:  # Python or the project may have replaced the SystemExit
                sys.exit()
            log(logger, logging.ERROR, message, exc_info=error)
            sys.exit(STARTUP_FAILURE)


class Server(uvicorn.Server):
    """The server of one process, which looks at its address before it starts anything up."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config = self.config
        self.should_exit |= getattr(config, "is_told", False)
        if sockets is None and config.fd is None and config.uds is None:
            await self._try_address()
        await super().startup(sockets)

    async def _try_address(self) -> None:
        """Bind and let go: uvicorn itself binds after the application's startup.

        Raises:
            SystemExit: with 3, as it does where an address cannot be bound.
        """
        try:
            probe = await asyncio.get_running_loop().create_server(
                asyncio.Protocol, self.config.host, self.config.port, start_serving=False
            )
        except OSError as error:
            log(logger, logging.ERROR, "%s", error)
            sys.exit(STARTUP_FAILURE)
        probe.close()
        await probe.wait_closed()
