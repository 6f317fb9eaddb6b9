"""Startup, shutdown and shared async resources for Django, on every ASGI server."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from .compat import asgi_lifespan
    from .errors import (
        AdapterError,
        LifespanError,
        LifespanFailedError,
        LifespanProtocolError,
        LifespanUnsupportedError,
        ReceiverError,
        ResourceDeclarationError,
        ResourceUnavailableError,
        ShutdownFailedError,
        StartupFailedError,
    )
    from .handler import LifespanASGIRequest
    from .mounted import mounted_application
    from .resources import Resource, resource
    from .running import run_lifespan, run_lifespan_sync
    from .signals import asgi_shutdown, asgi_startup, asgi_stopping
    from .state import get_state, stopping
    from .status import lifespan_status
else:  # each is loaded at its first use, because pytest imports this package for its plugin
    _MODULES = {
        "AdapterError": "errors",
        "LifespanASGIRequest": "handler",
        "LifespanError": "errors",
        "LifespanFailedError": "errors",
        "LifespanProtocolError": "errors",
        "LifespanUnsupportedError": "errors",
        "ReceiverError": "errors",
        "Resource": "resources",
        "ResourceDeclarationError": "errors",
        "ResourceUnavailableError": "errors",
        "ShutdownFailedError": "errors",
        "StartupFailedError": "errors",
        "asgi_lifespan": "compat",
        "asgi_shutdown": "signals",
        "asgi_startup": "signals",
        "asgi_stopping": "signals",
        "get_state": "state",
        "lifespan_status": "status",
        "mounted_application": "mounted",
        "resource": "resources",
        "run_lifespan": "running",
        "run_lifespan_sync": "running",
        "stopping": "state",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)

    def __dir__() -> list[str]:
        return [*globals(), *_MODULES]


__version__ = "1.0.0"

__all__ = (
    "AdapterError",
    "LifespanASGIRequest",
    "LifespanError",
    "LifespanFailedError",
    "LifespanProtocolError",
    "LifespanUnsupportedError",
    "ReceiverError",
    "Resource",
    "ResourceDeclarationError",
    "ResourceUnavailableError",
    "ShutdownFailedError",
    "StartupFailedError",
    "asgi_lifespan",
    "asgi_shutdown",
    "asgi_startup",
    "asgi_stopping",
    "get_state",
    "lifespan_status",
    "mounted_application",
    "resource",
    "run_lifespan",
    "run_lifespan_sync",
    "stopping",
)
