"""A module of django-asgi-lifespan 0.5. Deprecated: see ``signals``."""

from .signals import CompatAsyncSignal

__all__ = ("CompatAsyncSignal",)
