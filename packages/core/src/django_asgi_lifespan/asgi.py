"""The ASGI application of a Django project with a lifespan, the twin of ``django.core.asgi``."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

import django

from .gate import LifespanGate
from .handler import LifespanASGIHandler
from .registry import discover

if TYPE_CHECKING:
    from .protocol import Application, Receive, Scope, Send

__all__ = ("LifespanApplication", "get_asgi_application")


def get_asgi_application() -> LifespanASGIHandler:
    """Set Django up, and return its ASGI application with the lifespan protocol.

    In ``asgi.py``, import it in place of ``django.core.asgi.get_asgi_application``. Where a tracer
    has wrapped that function, requests go through the application that the wrapper makes.
    """
    django.setup(set_prefix=False)
    from django.core import asgi  # tracers wrap its function as soon as it is imported

    make: Any = asgi.get_asgi_application
    if _is_wrapped(make):
        from .traced import TracedHandler

        return TracedHandler(make())
    return LifespanASGIHandler()


def _is_wrapped(make: Any) -> bool:
    """Return whether *make* is not the function that Django or this module has."""
    is_plain = type(make) is FunctionType and not hasattr(make, "__wrapped__")
    return not (is_plain and make.__module__ in ("django.core.asgi", __name__))


class LifespanApplication:
    """Any ASGI application of a Django project, with the project's lifespan and state.

    For applications that stand in front of Django: the ``ProtocolTypeRouter`` of Channels, a
    FastAPI or Starlette application that has Django mounted. If the application has a lifespan of
    its own, it runs inside the project's: after all resources have started, and before
    ``asgi_startup``. Its state joins the project's, which HTTP and WebSocket scopes get.

    Args:
        application: takes ``(scope, receive, send)``. Django must be set up.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._gate = LifespanGate(application)
        from .adapters.discovery import application_made  # an import of this module does without

        discover()
        application_made(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope: ``lifespan`` here, anything else by the application."""
        if self._gate.is_open and scope["type"] == "http":
            await self._application(scope, receive, send)
        else:
            await self._gate.serve(self._application, self._application, scope, receive, send)
