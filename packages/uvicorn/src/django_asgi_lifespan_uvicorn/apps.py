"""The Django app: it makes ``manage.py runserver`` run uvicorn."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from .checks import check_runserver


class UvicornLifespanConfig(AppConfig):
    """Has the command ``runserver``, and a system check that it is the one that is found."""

    name = "django_asgi_lifespan_uvicorn"
    verbose_name = "uvicorn with ASGI lifespan"

    def ready(self) -> None:
        """Register the check."""
        register(check_runserver)
