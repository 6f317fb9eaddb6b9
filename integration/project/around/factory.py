"""A function that makes the application, instead of the application."""

from __future__ import annotations

from typing import Any


def create() -> Any:
    """Return the application."""
    from asgi import application

    return application
