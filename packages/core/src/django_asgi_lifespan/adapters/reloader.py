"""Django's autoreloader for a server that has something to close.

Django's own parent process waits for the child in ``subprocess.run``, which kills the child at
once at SIGTERM and a quarter of a second after Ctrl+C. Here, the parent waits until the child has
closed its resources.

The private parts of django/utils/autoreload.py (Django 4.2 to 6.1) on which this module and the one
of the child rely: ``get_child_arguments``, ``start_django``, ``get_reloader``,
``ensure_echo_on``, ``DJANGO_AUTORELOAD_ENV`` and ``logger``. ``tests/test_reloader.py`` looks them
up.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from django.utils import autoreload

from .process import ignore_os_signals_at_exit, stop_signals
from .reloader_child import PIPE, TICK, Child

__all__ = ("run_with_reloader",)

RELOAD = 3
"""The exit code of a child that another one is to replace (``trigger_reload``)."""


def run_with_reloader(
    serve: Callable[..., object],
    *,
    stop: Callable[[], int],
    logger: logging.Logger,
    **options: Any,
) -> NoReturn:
    """Call *serve* with *options* in a thread of a child process, anew whenever a file changes.

    Args:
        stop: called in the main thread of the child before it ends: it stops the server, closes
            everything, and returns the exit code. The server may not have begun yet.
        logger: is told which threads keep the child from ending, as an error.

    Raises:
        SystemExit: always.
    """
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        Child(stop, logger).run(serve, options)
    sys.exit(_Parent().run())


class _Parent:
    """Has a child process, and another one whenever a file has changed."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._is_told = False

    def run(self) -> int:
        """Return the exit code of the last child. It ends with this process in every case."""
        for number in stop_signals():
            signal.signal(number, self._stop)
        ignore_os_signals_at_exit()
        environment = _child_environment()
        while True:
            self._child = subprocess.Popen(
                autoreload.get_child_arguments(), env=environment, close_fds=False
            )
            if self._is_told:  # while the child was started
                self._child.terminate()
            code = _wait_for(self._child)
            # A child that was told while it imported the project has died of the OS signal.
            if self._is_told and (code < 0 or code == RELOAD):
                return 0
            if code != RELOAD:
                return code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_told = True
        if self._child is not None and sys.platform != "win32":  # there, Ctrl+C reaches the child
            self._child.terminate()


def _wait_for(child: subprocess.Popen[bytes]) -> int:
    """Return the exit code of *child*."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(TICK)


def _child_environment() -> dict[str, str]:
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    if sys.platform != "win32":
        read, _ = os.pipe()  # nobody writes: the other end is closed when this process ends
        os.set_inheritable(read, True)
        environment[PIPE] = str(read)
    if getattr(sys.stdout, "write_through", False):  # python -u, which is not passed on
        environment["PYTHONUNBUFFERED"] = "1"
    return environment
