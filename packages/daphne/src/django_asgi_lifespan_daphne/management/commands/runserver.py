"""``manage.py runserver``, as daphne has it, with time to close what is open."""

# daphne has no types:
# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

from daphne.management.commands.runserver import Command as Runserver
from django.utils import autoreload

from django_asgi_lifespan_daphne.server import LifespanServer

__all__ = ("Command",)

RELOAD = 3
"""The exit code of a process that is to be started anew (django/utils/autoreload.py)."""


class Command(Runserver):
    """Daphne's command, with a lifespan, under a reloader that waits for its end."""

    help = "Starts daphne for development, with the lifespan of the project."
    server_cls = LifespanServer

    def run(self, **options: Any) -> None:
        """Run the server, with the autoreloader if asked to."""
        if options["use_reloader"]:
            if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) != "true":
                sys.exit(_Reloader().run())
            signal.signal(signal.SIGINT, _stop_once)
            # Django sets a handler of its own before the reloader runs (run_with_reloader).
            autoreload.autoreload_started.connect(_handle_sigterm)
        super().run(**options)


def _handle_sigterm(**kwargs: object) -> None:
    signal.signal(signal.SIGTERM, _stop_once)


def _stop_once(number: int, frame: FrameType | None) -> None:
    """End the main thread; the next signal must not interrupt what is done at its end.

    Ctrl+C reaches this process twice, from the terminal and from its parent.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _do_nothing)
    raise KeyboardInterrupt


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Stand for SIG_IGN, of which Python complains if the signal has come before."""


class _Reloader:
    """The parent of the process that serves, which Django kills 0.25 s after Ctrl+C.

    It waits in ``subprocess.run()`` (``restart_with_reloader``, django/utils/autoreload.py).
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._is_told = False

    def run(self) -> int:
        """Return the exit code of the last child, which did not end in order to be reloaded."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
        command = autoreload.get_child_arguments()
        while True:
            self._child = subprocess.Popen(command, env=environment, close_fds=False)
            if self._is_told:  # while this child was started, and the one before had ended
                self._child.terminate()
            code = self._child.wait()
            # A child that is told while it imports the project dies of the OS signal.
            if self._is_told and (code < 0 or code == RELOAD):
                return 0
            if code != RELOAD:
                return code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_told = True
        if self._child is not None:
            self._child.terminate()
