"""uvicorn's own classes, with what the command of this package does otherwise.

What this package overrides, calls or reads of uvicorn without its documentation is all listed
here, with the lines of uvicorn 0.54.0; ``tests/seams.py`` compares the installed release.

Overridden:

- ``Config.load_app``, ``load`` and ``get_loop_factory`` (config.py:431, config.py:439,
  config.py:555);
- ``Server.startup`` and ``shutdown`` (server.py:115, server.py:281);
- ``LifespanOn.startup``, ``shutdown`` and ``main`` (lifespan/on.py:47, lifespan/on.py:64,
  lifespan/on.py:78);
- ``Multiprocess.terminate_all``, ``join_all`` and ``keep_subprocess_alive``
  (supervisors/multiprocess.py:165, supervisors/multiprocess.py:169,
  supervisors/multiprocess.py:214), and ``handle_quit``, a name that it looks for
  (supervisors/multiprocess.py:245);
- ``BaseReload.shutdown`` (supervisors/basereload.py:102).

Read: ``config``, ``started``, ``servers``, ``server_state.tasks`` and ``server_state.connections``
of a server, the ``transport`` of a connection; ``loaded``, ``lifespan_class`` and
``should_reload`` of a configuration; ``startup_event``, ``error_occurred``, ``startup_failed`` and
``shutdown_failed`` of a lifespan; ``processes``, ``sockets``, ``signal_queue`` and ``should_exit``
of a supervisor.

Set: ``should_exit``, as uvicorn documents it, and ``force_exit`` (server.py:74) of a server,
``startup_failed`` of a lifespan.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors import Multiprocess

from django_asgi_lifespan.process import SHUTDOWN_FAILURE, end_process

from .stopping import find_server, is_main_thread, orderly_stop

if TYPE_CHECKING:
    from uvicorn.supervisors.basereload import BaseReload as ChangeReload
else:  # one of two classes, as the packages that are installed allow
    from uvicorn.supervisors import ChangeReload

__all__ = ("Config", "Lifespan", "Reloader", "Server", "Supervisor", "run")

logger = logging.getLogger("uvicorn.error")


class Lifespan(LifespanOn):
    """The lifespan of a process that ends with it.

    Attributes:
        server: whose lifespan it is; where it is not told, it is found by its OS signals.
    """

    server: uvicorn.Server | None = None

    async def main(self) -> None:
        try:
            with orderly_stop(self.server or find_server(), self, exits=True):
                await super().main()
        finally:
            if isinstance(self.config, Config):
                self.config.is_ending = True
        if is_main_thread():
            code = STARTUP_FAILURE if self.startup_failed else SHUTDOWN_FAILURE
            end_process(logger, code=code)

    async def startup(self) -> None:
        await super().startup()
        if self.error_occurred and not self.startup_failed:
            logger.error(
                "The application does not speak the lifespan protocol. In asgi.py, import "
                "get_asgi_application from django_asgi_lifespan.asgi, or put LifespanApplication "
                "from there around the application."
            )

    async def shutdown(self) -> None:
        await super().shutdown()
        if self.shutdown_failed:
            sys.exit(SHUTDOWN_FAILURE)


class Config(uvicorn.Config):
    """The configuration that takes this package's lifespan into every process.

    Attributes:
        is_ending: whether the lifespan has ended, and so will this process.
    """

    is_ending = False

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        # uvicorn calls it in the process that serves, right before it takes over the OS signals,
        # which it gives back at its end (uvicorn/server.py:86, uvicorn/server.py:344).
        if is_main_thread():
            for number in HANDLED_SIGNALS:
                signal.signal(number, self._end)
        return super().get_loop_factory()

    def _end(self, number: int, frame: FrameType | None) -> None:
        """End the process, unless it is about to: exit handlers are not to be cut short."""
        if not self.is_ending:
            sys.exit()

    def load_app(self) -> Any:
        with _boot_failure():
            return super().load_app()

    def load(self) -> None:
        with _boot_failure():
            super().load()
        if self.lifespan != "off":
            self.lifespan_class = Lifespan


@contextlib.contextmanager
def _boot_failure() -> Generator[None]:
    """End the process with 3, whatever it is that fails.

    A worker that ended with another exit code would be started again, for ever
    (uvicorn/supervisors/multiprocess.py:225).
    """
    try:
        yield
    except Exception as error:
        logger.error("The application cannot be loaded.", exc_info=error)
        sys.exit(STARTUP_FAILURE)


class Server(uvicorn.Server):
    """The server of one process, which looks at its address before it starts anything up."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config = self.config
        if isinstance(self.lifespan, Lifespan):
            self.lifespan.server = self
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
            logger.error("%s", error)
            sys.exit(STARTUP_FAILURE)
        probe.close()
        await probe.wait_closed()


class Supervisor(Multiprocess):
    """The parent of the workers, which tells how they fared by its exit code.

    Attributes:
        exit_code: 3 where a worker could not start up, 1 where one could not close everything.
    """

    exit_code = 0

    def keep_subprocess_alive(self) -> None:
        # An OS signal of which a worker may have died: it is not to be replaced.
        if self.signal_queue or self.should_exit.is_set():
            return
        super().keep_subprocess_alive()
        if self.should_exit.is_set():  # by a worker: OS signals are handled elsewhere
            self.exit_code = STARTUP_FAILURE

    def handle_quit(self) -> None:
        """Stop as for SIGTERM."""
        logger.info("Received SIGQUIT, exiting.")
        self.should_exit.set()

    def terminate_all(self) -> None:
        # Workers close the port before they shut down, but it is open while anybody holds it.
        for each in self.sockets:
            each.close()
        super().terminate_all()

    def join_all(self) -> None:
        super().join_all()
        if SHUTDOWN_FAILURE in [process.exitcode for process in self.processes]:
            self.exit_code = self.exit_code or SHUTDOWN_FAILURE


class Reloader(ChangeReload):
    """The parent of one worker, which is replaced whenever a file changes."""

    def shutdown(self) -> None:
        for each in self.sockets:  # as a supervisor does
            each.close()
        super().shutdown()


def run(config: Config) -> None:
    """Serve until stopped, in this process or in others.

    Raises:
        SystemExit: with the exit code, unless it is 0.
    """
    try:
        code = _serve(config)
    except KeyboardInterrupt:
        code = 0
    finally:
        if config.uds:
            with contextlib.suppress(FileNotFoundError):
                Path(config.uds).unlink()
    if code:
        sys.exit(code)


def _serve(config: Config) -> int:
    server = Server(config)
    if config.should_reload:
        Reloader(config, target=server.run, sockets=[config.bind_socket()]).run()
        return 0
    if config.workers > 1:
        supervisor = Supervisor(config, sockets=[config.bind_socket()])
        supervisor.run()
        return supervisor.exit_code
    config.load_app()  # before there is an event loop, as uvicorn does
    server.run()
    return 0 if server.started else STARTUP_FAILURE
