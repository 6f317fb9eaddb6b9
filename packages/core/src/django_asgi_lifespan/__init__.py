"""Startup, shutdown and shared async resources for Django, on every ASGI server."""

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
from .mounted import mounted_application
from .resources import Resource, resource
from .running import run_lifespan, run_lifespan_sync
from .signals import asgi_lifespan, asgi_shutdown, asgi_startup, asgi_stopping
from .state import get_state, stopping

__version__ = "1.0.0"

__all__ = (
    "AdapterError",
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
    "mounted_application",
    "resource",
    "run_lifespan",
    "run_lifespan_sync",
    "stopping",
)
