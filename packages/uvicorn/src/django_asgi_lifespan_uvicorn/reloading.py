"""Django's autoreloader for a server that has something to close.

Under ``run_with_reloader`` nothing could be closed in time: its parent process waits for the child
in ``subprocess.run``, which kills it at once at SIGTERM and 0.25 s after Ctrl+C.

Of django/utils/autoreload.py (Django 4.2 to 6.1) this module uses ``get_child_arguments``,
``start_django``, ``get_reloader``, ``DJANGO_AUTORELOAD_ENV`` and ``logger``; of
django/core/servers/basehttp.py, ``run`` decides what ``DevelopmentServer`` looks like.
``tests/seams.py`` compares the installed release.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from django.utils import autoreload

from django_asgi_lifespan.process import SAME_STOP, end_process

from .stopping import stop_signals

__all__ = ("run_with_reloader",)

logger = logging.getLogger("uvicorn.error")

_LEASH = "DJANGO_ASGI_LIFESPAN_LEASH"
"""The environment variable with the file descriptor of a pipe, which is closed with the parent."""

_RELOAD = 3
"""The exit code of a child that is to be replaced (``trigger_reload``)."""

_PATIENCE = 1.0
"""Seconds that the child has to end, when everything is closed."""


def run_with_reloader(
    serve: Callable[..., None], *, stop: Callable[[], None], **options: Any
) -> NoReturn:
    """Call *serve* with *options* in a thread of a child process, anew whenever a file changes.

    Args:
        stop: called in the main thread of the child before it ends, for whatever reason.

    Raises:
        SystemExit: always.
    """
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        _Child(stop).run(serve, options)
    _supervise()


def _supervise() -> NoReturn:
    """Have a child process, and another whenever it ends with 3, until stopped.

    A child ends with this process, even if this one is killed.
    """
    read, _ = os.pipe()  # the other end is closed when this process ends
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    if sys.platform != "win32":
        os.set_inheritable(read, True)
        environment[_LEASH] = str(read)
    if getattr(sys.stdout, "write_through", False):  # python -u, which is not passed on
        environment.setdefault("PYTHONUNBUFFERED", "1")
    child: subprocess.Popen[bytes] | None = None
    is_stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal is_stopped
        is_stopped = True
        if child is not None and sys.platform != "win32":  # there, Ctrl+C reaches it by itself
            child.terminate()

    for number in stop_signals():
        signal.signal(number, stop)
    code = _RELOAD
    while code == _RELOAD and not is_stopped:
        child = subprocess.Popen(autoreload.get_child_arguments(), env=environment, close_fds=False)
        if is_stopped:
            child.terminate()
        code = child.wait()
    # A child that was stopped while it imported the project has died of the OS signal.
    sys.exit(0 if is_stopped and (code < 0 or code == _RELOAD) else code)


class _Child:
    """The process that serves: its main thread watches the files, another one runs the server."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._told_at: float | None = None
        self._is_closing = False

    def run(self, serve: Callable[..., None], options: dict[str, Any]) -> NoReturn:
        reloader = autoreload.get_reloader()
        autoreload.logger.info("Watching for file changes with %s", reloader.__class__.__name__)
        for number in stop_signals():
            signal.signal(number, self._handle)
        if _LEASH in os.environ:
            leash = int(os.environ.pop(_LEASH))
            threading.Thread(target=self._heed, args=(leash,), daemon=True).start()
        code = 0
        try:
            autoreload.start_django(reloader, serve, **options)
        except SystemExit as reason:
            code = reason.code if isinstance(reason.code, int) else 0
        finally:
            self._is_closing = True
            self._stop()
        code = 0 if self._told_at is not None else code
        end_process(logger, after=_PATIENCE, code=code)
        sys.exit(code)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Stop at the first OS signal; at a real second Ctrl+C, wait for nothing."""
        now = time.monotonic()
        if self._told_at is None:
            self._told_at = now
            if not self._is_closing:
                sys.exit()
        elif number == signal.SIGINT and now - self._told_at >= SAME_STOP:
            os.write(2, b"The process ends before everything is closed.\n")
            os._exit(1)

    def _heed(self, leash: int) -> None:
        """Stop when the parent has ended, and with it the other end of the pipe."""
        os.set_inheritable(leash, False)
        os.read(leash, 1)
        os.kill(os.getpid(), signal.SIGTERM)
