"""The ASGI application of a Django project with a lifespan, the twin of ``django.core.asgi``."""

from __future__ import annotations

import django

from .handler import LifespanASGIHandler

__all__ = ("get_asgi_application",)


def get_asgi_application() -> LifespanASGIHandler:
    """Set Django up, and return its ASGI application with the lifespan protocol.

    In ``asgi.py``, import it in place of ``django.core.asgi.get_asgi_application``.
    """
    django.setup(set_prefix=False)
    return LifespanASGIHandler()
