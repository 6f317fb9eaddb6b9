"""The Django app: optional, for the discovery of ``lifespan.py`` modules at setup, and checks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

from .registry import discover

if TYPE_CHECKING:
    from django.core.checks import CheckMessage


class LifespanConfig(AppConfig):
    """Imports the ``lifespan`` module of every installed Django app, and has system checks."""

    name = "django_asgi_lifespan"
    verbose_name = "ASGI lifespan"

    def ready(self) -> None:
        """Import the modules, which declares their resources, and register the checks.

        A module or a setting that is wrong does not stop a command: a check shows it, and no
        lifespan starts with it.
        """
        from django.core.checks import register

        register(check, "lifespan")
        with contextlib.suppress(ImproperlyConfigured):
            discover()


def check(**kwargs: Any) -> list[CheckMessage]:
    """Return the findings of the system checks, which a server never loads."""
    from .checks import check_project

    return check_project()
