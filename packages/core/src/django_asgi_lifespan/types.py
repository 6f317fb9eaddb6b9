"""The types that projects with django-asgi-lifespan 0.5 annotate their managers with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

__all__ = ("LifespanManager", "State")

State = MutableMapping[str, Any]
"""The mapping that a manager yields, and the type of ``request.state``."""

LifespanManager = AsyncGenerator[State, None]
"""The return type of the function below ``@asynccontextmanager``."""
