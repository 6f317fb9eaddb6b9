"""``manage.py runserver``, as daphne has it, with time to close the resources."""

# daphne has no types:
# pyright: reportMissingTypeStubs=false
from __future__ import annotations

from typing import Any

from daphne.management.commands.runserver import Command as Runserver

from django_asgi_lifespan.adapters import run_with_reloader
from django_asgi_lifespan_daphne.runserver import end_process, stop_server
from django_asgi_lifespan_daphne.server import LifespanServer, logger

__all__ = ("Command",)


class Command(Runserver):
    """Daphne's command, with a lifespan, under a reloader that waits for its end."""

    help = "Starts daphne for development, with the lifespan of the project."
    server_cls = LifespanServer

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line, where the process ends with the server."""
        super().run_from_argv(argv)
        end_process()

    def run(self, **options: Any) -> None:
        """Run the server, with the autoreloader if asked to."""
        if options["use_reloader"]:
            run_with_reloader(self.inner_run, stop=stop_server, logger=logger, **options)
        super().run(**options)
