"""The types that projects with django-asgi-lifespan 0.5 annotate their managers with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

__all__ = ("LifespanManager", "State")

State = MutableMapping[str, Any]
"""What a manager yields, and what ``request.state`` is."""

LifespanManager = AsyncGenerator[State, None]
"""What the function below ``@asynccontextmanager`` returns."""
