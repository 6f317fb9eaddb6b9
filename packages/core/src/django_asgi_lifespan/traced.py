"""Our handler for projects in which a tracer has wrapped Django's own function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.handlers.asgi import ASGIHandler

from .handler import LifespanASGIHandler, LifespanASGIRequest, close_websocket

if TYPE_CHECKING:
    from .protocol import Application, Receive, Scope, Send

__all__ = ("TracedHandler",)


class TracedHandler(LifespanASGIHandler):
    """Our handler, whose HTTP requests go to an application that a tracer made around Django's.

    Datadog's tracer begins the root span of a request there.

    Args:
        application: what ``django.core.asgi.get_asgi_application()`` returns.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        super().__init__()
        for inner in getattr(application, "__dict__", {}).values():
            if isinstance(inner, ASGIHandler):
                inner.request_class = LifespanASGIRequest

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's
        """Do nothing: the handler of Django inside has loaded the middleware."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope: HTTP by the application, the rest as the handler does."""
        if self._gate.is_open and scope["type"] == "http":
            await self._application(scope, receive, send)
        else:
            application: Any = self._application
            if scope["type"] == "websocket":
                application = close_websocket
            await self._gate.serve(self, application, scope, receive, send)
