"""granian for django-asgi-lifespan: hooks for its own command."""

__version__ = "1.0.0"

__all__ = ()
