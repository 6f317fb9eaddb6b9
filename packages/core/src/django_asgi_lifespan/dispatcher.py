"""A module of django-asgi-lifespan 0.5. Deprecated: see ``legacy``."""

from .legacy import LifespanEventDispatcher

__all__ = ("LifespanEventDispatcher",)
