"""``manage.py runserver``, as Django has it, with uvicorn and the lifespan."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import uvicorn
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import OutputWrapper
from django.utils.module_loading import import_string

from django_asgi_lifespan.adapters import (
    STARTUP_FAILURE,
    Application,
    get_asgi_application,
    run_with_reloader,
)
from django_asgi_lifespan_uvicorn.runserver import DevelopmentServer, switch
from django_asgi_lifespan_uvicorn.stop import logger

if TYPE_CHECKING or not apps.is_installed("django.contrib.staticfiles"):
    from django.core.management.commands.runserver import Command as Runserver
else:  # it has options of its own
    from django.contrib.staticfiles.management.commands.runserver import Command as Runserver

__all__ = ("Command",)


class Command(Runserver):
    """Django's command, whose server is uvicorn, and closes every resource before it ends."""

    help = "Starts uvicorn for development, with the lifespan of the project."
    server_cls: Any = DevelopmentServer

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """Return the ASGI application of the project, behind its static files."""
        application: Any = _application()
        if options.get("use_static_handler") and (settings.DEBUG or options["insecure_serving"]):
            return ASGIStaticFilesHandler(application)
        return application

    def run(self, **options: Any) -> None:
        """Run the server, with the autoreloader if asked to."""
        if options["use_reloader"]:
            run_with_reloader(self.inner_run, stop=switch.off, logger=logger, **options)
        else:
            self.inner_run(None, **options)

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Check the project and serve. If it does not start, name the next step."""
        try:
            super().inner_run(*args, **options)
        except SystemExit as reason:
            if reason.code == STARTUP_FAILURE and options["use_reloader"]:
                self.stderr.write("The server has not started. It tries again when a file changes.")
            raise

    def on_bind(self, server_port: int) -> None:
        """Print Django's lines, and name the server."""
        told, out = io.StringIO(), self.stdout
        self.stdout = OutputWrapper(told)
        try:
            super().on_bind(server_port)
        finally:
            self.stdout = out
        named = f"Starting uvicorn {uvicorn.__version__} development server"
        text = re.sub(r"Starting (\w+ )?development server", named, told.getvalue())
        self.stdout.write(text, ending="")


def _application() -> Application:
    name = getattr(settings, "ASGI_APPLICATION", None)
    if name is None:
        return get_asgi_application()
    try:
        application: Application = import_string(name)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"ASGI_APPLICATION is {name!r}, which cannot be imported: {error} "
            f"[lifespan-application]"
        ) from error
    return application
