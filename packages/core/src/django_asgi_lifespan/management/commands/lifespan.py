"""``manage.py lifespan``: shows the resources of the project, or opens and closes them once."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Generator, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError

from django_asgi_lifespan.errors import LifespanFailedError
from django_asgi_lifespan.registry import discover
from django_asgi_lifespan.running import run_lifespan_sync
from django_asgi_lifespan.status import declared, mermaid, tree
from django_asgi_lifespan.timeline import Timeline, boxes_for

FAILED = 3
"""The exit code where something fails, as servers have it after a failed startup."""


class Command(BaseCommand):
    """Shows what a lifespan of the project would do, or does it."""

    help = "Shows the resources of the project, or opens and closes them once."
    requires_system_checks = ()  # their errors would end it with another exit code

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the options."""
        kinds = parser.add_mutually_exclusive_group()
        kinds.add_argument("--mermaid", action="store_true", help="Draw a diagram for Mermaid.")
        kinds.add_argument(
            "--run",
            action="store_true",
            help="Open and close everything once, and show when. The exit code is 0, or 3 if "
            "anything failed.",
        )
        parser.add_argument(
            "--only",
            action="append",
            metavar="NAME",
            help="With --run, open this resource and those that it requires. May be repeated.",
        )

    def handle(
        self, *, mermaid: bool, run: bool, only: Sequence[str] | None, **options: Any
    ) -> None:
        """Run the command.

        Raises:
            CommandError: something failed.
        """
        if only and not run:
            raise CommandError("--only needs --run.")
        # The wrapper around the output does not know the encoding on every Django.
        boxes = boxes_for(getattr(self.stdout, "encoding", None) or sys.stdout.encoding)
        try:
            discover()
            resources = declared()
            if run:
                timeline = Timeline([resource.name for resource in resources])
                try:
                    self._run(timeline, only)
                finally:
                    self.stdout.write(timeline.draw(boxes))
            elif mermaid:
                self.stdout.write(_draw_mermaid(resources))
            else:
                self.stdout.write(tree(resources, boxes) or "No resources are declared.")
        except (ImproperlyConfigured, LifespanFailedError) as error:
            raise CommandError(str(error), returncode=FAILED) from error

    def _run(self, timeline: Timeline, only: Sequence[str] | None) -> None:
        with _read_log(timeline):
            timeline.note("startup begins")
            with run_lifespan_sync(only=only):
                timeline.note("startup complete")
            timeline.note("shutdown complete")


_draw_mermaid = mermaid  # an option has that name, too


class _Reader(logging.Handler):
    """Hands the lines of the log to a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(logging.INFO)
        self._timeline = timeline
        self.setFormatter(logging.Formatter("%(created)f %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._timeline.read_log([self.format(record)])


@contextlib.contextmanager
def _read_log(timeline: Timeline) -> Generator[None]:
    logger = logging.getLogger("django_asgi_lifespan")
    reader, level = _Reader(timeline), logger.level
    logger.addHandler(reader)
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(reader)
        logger.setLevel(level)
