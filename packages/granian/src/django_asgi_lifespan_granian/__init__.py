"""granian for django-asgi-lifespan: hooks for its own command, and a twin of that command."""

__version__ = "1.0.0"

__all__ = ()
