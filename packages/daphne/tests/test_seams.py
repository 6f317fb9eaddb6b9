"""What this package overrides, calls or reads of others is there, in the installed releases."""

from __future__ import annotations

import inspect
import threading

import pytest
from autobahn.websocket.protocol import WebSocketProtocol as AutobahnProtocol
from daphne.cli import CommandLineInterface
from daphne.http_protocol import WebRequest
from daphne.management.commands.runserver import Command as Runserver
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from django.core.management.commands.runserver import Command as DjangoRunserver
from django.utils import autoreload
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase

SERVER = Server(application=None, endpoints=["tcp:port=0"])


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (Server, ["run", "kill_all_applications", "listen_success", "listen_error"]),
        (Server, ["application_checker", "create_application"]),
        (SERVER, ["application", "application_close_timeout", "signal_handlers", "endpoints"]),
        (SERVER, ["abort_start"]),
        (CommandLineInterface, ["server_class", "entrypoint"]),
        (WebRequest, ["connectionLost"]),
        (WebSocketProtocol, ["sendCloseFrame", "STATE_OPEN"]),
        (Runserver, ["server_cls", "run"]),
        (autoreload, ["get_child_arguments", "DJANGO_AUTORELOAD_ENV"]),
        (AsyncioSelectorReactor, ["getReaders", "callWhenRunning", "addSystemEventTrigger"]),
        (threading, ["_register_atexit"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_names(owner: object, names: list[str]) -> None:
    """Each is there."""
    assert [name for name in names if not hasattr(owner, name)] == []


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (Server.run, "for socket_description in self.endpoints:"),
        (Server.run, '("before", "shutdown", self.kill_all_applications)'),
        (Server.run, "if not self.abort_start:"),
        (Server.run, "reactor.run(installSignalHandlers=self.signal_handlers)"),
        (Server.run, "self.connections = {}"),
        (Server.create_application, "= asyncio.ensure_future("),
        (Server.create_application, "self.application("),
        (Server.listen_error, "self.stop()"),
        (Server.application_checker, "application_instance.cancel()"),
        (CommandLineInterface.run, "if self.server.abort_start:\n            exit(1)"),
        (WebRequest.process, "transport, self.transport = self.transport, None"),
        (WebSocketProtocol.handle_exception, "self.sendCloseFrame(code=1011)"),
        (AutobahnProtocol.sendClose, "code != 1000 and not (3000 <= code <= 4999)"),
        (Runserver.inner_run, 'signal_handlers=not options["use_reloader"]'),
        (DjangoRunserver.run, "autoreload.run_with_reloader(self.inner_run, **options)"),
        (autoreload.trigger_reload, "sys.exit(3)"),
        (ReactorBase.sigTerm, "self.callFromThread(self.stop)"),
    ],
    ids=lambda value: getattr(value, "__qualname__", value),
)
def test_lines(method: object, text: str) -> None:
    """Each stands where this package relies on it."""
    assert text in inspect.getsource(method)  # type: ignore[arg-type]
