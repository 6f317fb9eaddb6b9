"""The system check of the Django app."""

from __future__ import annotations

from typing import Any

from django.core.checks import Error
from django.core.management import get_commands, load_command_class

__all__ = ("check_runserver",)

APP = "django_asgi_lifespan_uvicorn"


def check_runserver(**kwargs: Any) -> list[Error]:
    """Return an error where ``runserver`` is the command of another Django app.

    Of the commands of one name, that of the app which comes first in ``INSTALLED_APPS`` is found.
    """
    found = get_commands()["runserver"]
    if found == APP:
        return []
    from .management.commands.runserver import Command

    if isinstance(load_command_class(found, "runserver"), Command):  # built on ours
        return []
    return [
        Error(
            f"runserver is the command of {found}, so it does not run uvicorn, and not the "
            f"lifespan.",
            hint=f"In INSTALLED_APPS, put {APP!r} before {found!r}.",
            id=f"{APP}.E001",
        )
    ]
