"""What this package overrides, calls or reads of uvicorn and Django is there, in this release."""

from __future__ import annotations

import inspect
import logging

import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.main import main as uvicorn_command
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from uvicorn.supervisors.basereload import BaseReload
from uvicorn.supervisors.multiprocess import Multiprocess, Process

CONFIG = uvicorn.Config("module:application", log_config=None)


@pytest.mark.parametrize(
    ("owner", "methods"),
    [
        (uvicorn.Config, ["load", "bind_socket", "should_reload", "get_loop_factory"]),
        (uvicorn.Server, ["startup", "shutdown", "run", "serve", "handle_exit"]),
        (LifespanOn, ["main", "startup", "shutdown", "receive"]),
        (Multiprocess, ["keep_subprocess_alive", "terminate_all", "join_all", "run"]),
        (Process, ["exitcode"]),
        (BaseReload, ["shutdown", "run"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_methods(owner: type, methods: list[str]) -> None:
    """Each is one of the class itself."""
    assert [name for name in methods if name not in vars(owner)] == []


@pytest.mark.parametrize(
    ("instance", "attributes"),
    [
        (
            CONFIG,
            ["host", "port", "uds", "fd", "workers", "timeout_graceful_shutdown", "loaded"],
        ),
        (
            uvicorn.Server(CONFIG),
            ["config", "started", "should_exit", "force_exit", "server_state"],
        ),
        (ServerState(), ["connections", "tasks"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_attributes(instance: object, attributes: list[str]) -> None:
    """Each is set by the constructor."""
    assert [name for name in attributes if not hasattr(instance, name)] == []


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (uvicorn.Config.load, "self.lifespan_class = "),
        (uvicorn.Server.startup, "self.servers = [server]"),
        (uvicorn.Server.capture_signals, "signal.signal(sig, self.handle_exit)"),
        (uvicorn.Server.shutdown, "if not self.force_exit:"),
        (uvicorn.Server.shutdown, "self.config.timeout_graceful_shutdown"),
        (LifespanOn.__init__, "self.error_occurred = False"),
        (LifespanOn.__init__, "self.startup_failed = False"),
        (LifespanOn.__init__, "self.shutdown_failed = False"),
        (LifespanOn.main, "await app(scope, self.receive, self.send)"),
        (Multiprocess.__init__, "self.sockets = sockets"),
        (Multiprocess.__init__, "self.processes: list[Process] = []"),
        (Multiprocess.__init__, "self.signal_queue.append(sig)"),
        (Multiprocess.run, "self.keep_subprocess_alive()"),
        (Multiprocess.run, "self.terminate_all()"),
        (Multiprocess.run, "self.join_all()"),
        (Multiprocess.handle_signals, 'f"handle_{sig_name.lower()}"'),
        (BaseReload.__init__, "self.sockets = sockets"),
        (H11Protocol.connection_made, "self.transport = transport"),
        (WebSocketsSansIOProtocol.connection_made, "self.transport = transport"),
    ],
    ids=lambda value: getattr(value, "__qualname__", value),
)
def test_lines(method: object, text: str) -> None:
    """Each stands where this package relies on it."""
    assert text in inspect.getsource(method)  # type: ignore[arg-type]


def test_each_option_of_the_command_configures_uvicorn() -> None:
    """But for two, which the command handles itself: the version and the folder of the modules."""
    options = {parameter.name for parameter in uvicorn_command.params}
    arguments = set(inspect.signature(uvicorn.Config).parameters)
    assert options - arguments == {"version", "app_dir"}


def test_the_logger_is_that_of_uvicorn() -> None:
    """Under its log configuration no other would be seen."""
    assert "uvicorn.error" in logging.root.manager.loggerDict
