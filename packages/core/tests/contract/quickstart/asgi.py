"""The ASGI application, as the documentation of 0.5 has it."""

from __future__ import annotations

import os
from typing import Any

from django_asgi_lifespan.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

django_application = get_asgi_application()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Let Django serve what it can."""
    if scope["type"] in {"http", "lifespan"}:
        await django_application(scope, receive, send)
    else:
        raise NotImplementedError(f"Scopes of type {scope['type']!r} are not served here.")
