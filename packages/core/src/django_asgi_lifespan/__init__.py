"""Startup, shutdown and shared async resources for Django, on every ASGI server."""

from .errors import (
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
from .resources import Resource, resource
from .signals import asgi_shutdown, asgi_startup
from .state import get_state

__version__ = "1.0.0"

__all__ = (
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
    "asgi_shutdown",
    "asgi_startup",
    "get_state",
    "resource",
)
