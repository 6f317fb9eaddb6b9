"""A server in a thread, for tests with browsers, WebSockets and streams."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.test.utils import modify_settings
from django.utils.module_loading import import_string

from django_asgi_lifespan import Resource, ShutdownFailedError, StartupFailedError
from django_asgi_lifespan.adapters import RELOAD_LIMIT, Application, Receive, Scope, Send
from django_asgi_lifespan.asgi import get_asgi_application
from django_asgi_lifespan.testing.under_test import stand_in

from .runserver import StoppableServer
from .server import Config

__all__ = ("LiveServer", "run_live_server")

HOST = "127.0.0.1"


@dataclass(frozen=True)
class LiveServer:
    """A server that runs in a thread of this process.

    Attributes:
        url: its address, such as ``http://127.0.0.1:40000``.
        ws_url: the same for WebSockets.
    """

    url: str
    ws_url: str


@contextlib.contextmanager
def run_live_server(
    application: Application | None = None,
    *,
    overrides: Mapping[Resource[Any], object] | None = None,
    only: Iterable[Resource[Any] | str] | None = None,
) -> Generator[LiveServer]:
    """Serve *application* by uvicorn on a free port of 127.0.0.1, inside its own lifespan.

    Args:
        application: by default that of the setting ``ASGI_APPLICATION``, or Django's.
        overrides, only: as in ``run_lifespan_around_test()``.

    Raises:
        StartupFailedError: something failed to start. The log has the traceback.
        ShutdownFailedError: something failed to stop.
    """
    __tracebackhide__ = True
    with ExitStack() as stack:
        for resource, value in (overrides or {}).items():
            stack.enter_context(stand_in(resource, value))
        stack.enter_context(modify_settings(ALLOWED_HOSTS={"append": HOST}))
        listening = stack.enter_context(socket.create_server((HOST, 0)))
        server = _ServerUnderTest(application or _application(), only)
        thread = threading.Thread(target=server.run, args=([listening],), name="live server")
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.stop)
        server.is_ready.wait()
        if not server.started:
            raise StartupFailedError(server.failure)
        port = listening.getsockname()[1]
        yield LiveServer(f"http://{HOST}:{port}", f"ws://{HOST}:{port}")
    if server.failure:
        raise ShutdownFailedError(server.failure)


def _application() -> Application:
    name: str | None = getattr(settings, "ASGI_APPLICATION", None)
    application: Application = import_string(name) if name else get_asgi_application()
    if "django.contrib.staticfiles" in settings.INSTALLED_APPS:
        handler: Any = application  # it takes any application, and passes it all other scopes
        application = ASGIStaticFilesHandler(handler)
    return application


class _ServerUnderTest(StoppableServer):
    """Knows when it serves, and why it does not.

    Attributes:
        is_ready: is set when it serves, or when it has ended.
        failure: the message of a startup or shutdown that failed.
    """

    def __init__(self, application: Application, only: Iterable[object] | None) -> None:
        config = Config(
            self._answer,
            interface="asgi3",
            log_config=None,
            timeout_graceful_shutdown=RELOAD_LIMIT,
        )
        super().__init__(config)
        self.is_ready = threading.Event()
        self.failure = ""
        self._application = application
        self._only = only

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Any) -> None:
            self.failure = message.get("message", "")
            await send(message)

        if scope["type"] == "lifespan":
            scope["django_asgi_lifespan.only"] = self._only
            await self._application(scope, receive, note)
        else:
            await self._application(scope, receive, send)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_ready.set()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        except BaseException as error:  # SystemExit, too
            self.failure = self.failure or repr(error)
        finally:
            self.is_ready.set()
