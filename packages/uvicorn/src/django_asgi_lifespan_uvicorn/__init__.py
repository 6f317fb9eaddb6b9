"""uvicorn for django-asgi-lifespan: a command, a ``runserver``, and hooks for its own command."""

__version__ = "1.0.0"

__all__ = ()
