"""The ASGI application of a Django project with a lifespan, the twin of ``django.core.asgi``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django

from .gate import LifespanGate
from .handler import LifespanASGIHandler
from .registry import discover

if TYPE_CHECKING:
    from .protocol import Application, Receive, Scope, Send

__all__ = ("LifespanApplication", "get_asgi_application")


def get_asgi_application() -> LifespanASGIHandler:
    """Set Django up, and return its ASGI application with the lifespan protocol.

    In ``asgi.py``, import it in place of ``django.core.asgi.get_asgi_application``.
    """
    django.setup(set_prefix=False)
    return LifespanASGIHandler()


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
