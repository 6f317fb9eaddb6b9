"""The adapters of servers: their base class, and every name that an adapter needs.

An adapter imports from here and from the top level alone. Each name is loaded at its first use,
because a process whose server needs no adapter uses none of them.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_asgi_lifespan.asgi import get_asgi_application
    from django_asgi_lifespan.conf import lifespan_settings
    from django_asgi_lifespan.driver import LifespanDriver
    from django_asgi_lifespan.last_resort import log, log_failure
    from django_asgi_lifespan.protocol import (
        Application,
        Message,
        Receive,
        Scope,
        Send,
        speak_lifespan,
    )
    from django_asgi_lifespan.websockets import SERVICE_RESTART

    from .deadlines import Deadlines
    from .handlers import call_handlers_in_thread, has_heard, take_handlers_back
    from .limits import (
        DEFAULT_LIMIT,
        DRAIN_SHARE,
        GRACE,
        KILL_LIMIT,
        POLL,
        QUICK_LIMIT,
        RELOAD_LIMIT,
        SAME_STOP,
    )
    from .process import (
        SHUTDOWN_FAILURE,
        STARTUP_FAILURE,
        exit_despite_threads,
        handle_os_signals,
        ignore_os_signals_at_exit,
        in_main_thread,
        stop_signals,
        watch_supervisor,
    )
    from .reloader import run_with_reloader
    from .reloader_child import stop_in_thread
    from .server import AdaptedLifespan, Server, hold, is_held
    from .spawned import note_spawned
    from .stop import Stop
    from .tasks import Call, calls, variables_on_stack
else:
    _MODULES = {
        "AdaptedLifespan": ".server",
        "Application": "django_asgi_lifespan.protocol",
        "Call": ".tasks",
        "DEFAULT_LIMIT": ".limits",
        "DRAIN_SHARE": ".limits",
        "Deadlines": ".deadlines",
        "GRACE": ".limits",
        "KILL_LIMIT": ".limits",
        "LifespanDriver": "django_asgi_lifespan.driver",
        "Message": "django_asgi_lifespan.protocol",
        "POLL": ".limits",
        "QUICK_LIMIT": ".limits",
        "RELOAD_LIMIT": ".limits",
        "Receive": "django_asgi_lifespan.protocol",
        "SAME_STOP": ".limits",
        "SERVICE_RESTART": "django_asgi_lifespan.websockets",
        "SHUTDOWN_FAILURE": ".process",
        "STARTUP_FAILURE": ".process",
        "Scope": "django_asgi_lifespan.protocol",
        "Send": "django_asgi_lifespan.protocol",
        "Server": ".server",
        "Stop": ".stop",
        "call_handlers_in_thread": ".handlers",
        "calls": ".tasks",
        "exit_despite_threads": ".process",
        "get_asgi_application": "django_asgi_lifespan.asgi",
        "handle_os_signals": ".process",
        "has_heard": ".handlers",
        "hold": ".server",
        "ignore_os_signals_at_exit": ".process",
        "in_main_thread": ".process",
        "is_held": ".server",
        "lifespan_settings": "django_asgi_lifespan.conf",
        "log": "django_asgi_lifespan.last_resort",
        "log_failure": "django_asgi_lifespan.last_resort",
        "note_spawned": ".spawned",
        "run_with_reloader": ".reloader",
        "speak_lifespan": "django_asgi_lifespan.protocol",
        "stop_in_thread": ".reloader_child",
        "stop_signals": ".process",
        "take_handlers_back": ".handlers",
        "variables_on_stack": ".tasks",
        "watch_supervisor": ".process",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_MODULES[name], __name__), name)

    def __dir__() -> list[str]:
        return [*globals(), *_MODULES]


__all__ = (
    "DEFAULT_LIMIT",
    "DRAIN_SHARE",
    "GRACE",
    "KILL_LIMIT",
    "POLL",
    "QUICK_LIMIT",
    "RELOAD_LIMIT",
    "SAME_STOP",
    "SERVICE_RESTART",
    "SHUTDOWN_FAILURE",
    "STARTUP_FAILURE",
    "AdaptedLifespan",
    "Adapter",
    "Application",
    "Call",
    "Deadlines",
    "LifespanDriver",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "Server",
    "Stop",
    "call_handlers_in_thread",
    "calls",
    "exit_despite_threads",
    "get_asgi_application",
    "handle_os_signals",
    "has_heard",
    "hold",
    "ignore_os_signals_at_exit",
    "in_main_thread",
    "is_held",
    "lifespan_settings",
    "log",
    "log_failure",
    "note_spawned",
    "run_with_reloader",
    "speak_lifespan",
    "stop_in_thread",
    "stop_signals",
    "take_handlers_back",
    "variables_on_stack",
    "watch_supervisor",
)


class Adapter:
    """The adapter of one server: a subclass overrides the methods that its server needs.

    A process has one instance of each adapter, made without arguments. The core finds
    ``django_asgi_lifespan_<server>.hooks.<Server>Adapter`` by itself where the module *server* is
    loaded, and those that ``ASGI_LIFESPAN["ADAPTERS"]`` names. A loaded server need not be the one
    that runs this process: other servers load it, and so do tests. An exception from a method
    fails the startup.
    """

    def application_made(self, application: Any) -> None:
        """Called when an application with a lifespan is made; do nothing that could harm.

        No event loop need exist, and this may be the parent of the processes that will serve
        (``gunicorn --preload``). It is called again for an application around another.
        """

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        """Return a context manager to enter before the startup, or None where there is none.

        It is left when the lifespan has ended, in the same task. Return None where the server does
        not run this process, has started already, or is held by another lifespan: a view may
        run a lifespan of its own.
        """
        return None
