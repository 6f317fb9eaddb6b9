"""The Django app: optional, for the discovery of ``lifespan.py`` modules at setup."""

from __future__ import annotations

from django.apps import AppConfig

from .registry import discover


class LifespanConfig(AppConfig):
    """Imports the ``lifespan`` module of every installed Django app when Django is set up."""

    name = "django_asgi_lifespan"
    verbose_name = "ASGI lifespan"

    def ready(self) -> None:
        """Import the modules, which declares their resources."""
        discover()
