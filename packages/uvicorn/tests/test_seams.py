"""What this package overrides, calls or reads of uvicorn and Django is there, in this release."""

from __future__ import annotations

import inspect
import logging
import re
from pathlib import Path

import pytest
import uvicorn
from django.contrib.staticfiles.management.commands.runserver import Command as Static
from django.core.management.commands.runserver import Command
from django.core.servers import basehttp
from django.utils import autoreload
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
        (uvicorn.Config, ["load", "load_app", "bind_socket", "should_reload", "get_loop_factory"]),
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
        (LifespanOn.__init__, "self.startup_event = asyncio.Event()"),
        (LifespanOn.main, "if self.startup_failed or self.shutdown_failed:"),
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
        (
            autoreload.restart_with_reloader,
            "subprocess.run(args, env=new_environ, close_fds=",
        ),
        (autoreload.restart_with_reloader, "if p.returncode != 3:"),
        (autoreload.start_django, "django_main_thread.start()"),
        (autoreload.trigger_reload, "sys.exit(3)"),
        (basehttp.run, "httpd_cls(server_address, WSGIRequestHandler, ipv6=ipv6)"),
        (basehttp.run, "socketserver.ThreadingMixIn"),
        (basehttp.run, 'on_bind(getattr(httpd, "server_port", port))'),
        (basehttp.run, "httpd.set_app(wsgi_handler)"),
        (basehttp.run, "httpd.serve_forever()"),
        (Command.run, "autoreload.run_with_reloader(self.inner_run, **options)"),
        (Command.inner_run, "handler = self.get_handler(*args, **options)"),
        (Command.inner_run, "server_cls=self.server_cls"),
        (Command.on_bind, "development server at "),
        (Static.get_handler, 'options["use_static_handler"]'),
    ],
    ids=lambda value: getattr(value, "__qualname__", value),
)
def test_lines(method: object, text: str) -> None:
    """Each stands where this package relies on it."""
    assert text in inspect.getsource(method)  # type: ignore[arg-type]


def test_names_of_the_autoreloader() -> None:
    """They are not documented by Django either."""
    for name in ("get_reloader", "logger", "DJANGO_AUTORELOAD_ENV"):
        assert hasattr(autoreload, name)


def test_each_option_of_the_command_configures_uvicorn() -> None:
    """But for two, which the command handles itself: the version and the folder of the modules."""
    options = {parameter.name for parameter in uvicorn_command.params}
    arguments = set(inspect.signature(uvicorn.Config).parameters)
    assert options - arguments == {"version", "app_dir"}


def test_the_logger_is_that_of_uvicorn() -> None:
    """Under its log configuration no other would be seen."""
    assert "uvicorn.error" in logging.root.manager.loggerDict


LINES = {
    "config.py:431": "def load_app(",
    "config.py:439": "def load(",
    "config.py:555": "def get_loop_factory(",
    "main.py:639": "config.workers == 1",
    "server.py:74": "self.force_exit = False",
    "server.py:86": "self.config.get_loop_factory()",
    "server.py:115": "async def startup(",
    "server.py:182": "await loop.create_server(",
    "server.py:281": "async def shutdown(",
    "server.py:307": "t.cancel(",
    "server.py:310": "if not self.force_exit:",
    "server.py:332": "def capture_signals(",
    "server.py:344": "signal.signal(sig, handler)",
    "server.py:349": "signal.raise_signal(",
    "server.py:353": "if self.should_exit and sig == signal.SIGINT:",
    "lifespan/on.py:47": "async def startup(",
    "lifespan/on.py:64": "async def shutdown(",
    "lifespan/on.py:78": "async def main(",
    "lifespan/on.py:136": "async def receive(",
    "logging.py:105": "recordcopy.args",
    "supervisors/basereload.py:102": "def shutdown(",
    "supervisors/multiprocess.py:165": "def terminate_all(",
    "supervisors/multiprocess.py:169": "def join_all(",
    "supervisors/multiprocess.py:182": "new_process.wait_until_ready(",
    "supervisors/multiprocess.py:214": "def keep_subprocess_alive(",
    "supervisors/multiprocess.py:222": "process.kill()",
    "supervisors/multiprocess.py:225": "if process.exitcode == STARTUP_FAILURE:",
    "supervisors/multiprocess.py:245": "sig_handler = getattr(",
}


def test_each_line_that_is_named_is_known_here() -> None:
    """In the README and in the modules, so that the next test reads them all."""
    package = Path(__file__).parents[1]
    named: set[str] = set()
    for file in [package / "README.md", *(package / "src").rglob("*.py")]:
        named |= set(re.findall(r"[a-z/]+\.py:\d+", file.read_text()))
    assert {name.removeprefix("uvicorn/") for name in named} <= LINES.keys()


@pytest.mark.skipif(uvicorn.__version__ != "0.54.0", reason="the lines are those of 0.54.0")
@pytest.mark.parametrize("name", LINES)
def test_each_line_that_is_named_says_so(name: str) -> None:
    """Whoever looks it up finds what it is named for."""
    path, _, number = name.partition(":")
    lines = (Path(uvicorn.__file__).parent / path).read_text().splitlines()
    assert LINES[name] in lines[int(number) - 1]
