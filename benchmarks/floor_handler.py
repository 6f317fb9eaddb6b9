"""The least that a handler with a lifespan could be: Django's, with one `if`."""

from typing import Any

from django.core.handlers.asgi import ASGIHandler

__all__ = ("FloorASGIHandler",)


class FloorASGIHandler(ASGIHandler):
    """Django's handler with the `if` that tells lifespan scopes from requests."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await receive()
        else:
            await super().__call__(scope, receive, send)
