"""Django's autoreloader for a server that has something to close.

Under ``run_with_reloader`` nothing could be closed in time: its parent process waits for the child
in ``subprocess.run``, which kills it at once at SIGTERM and 0.25 s after Ctrl+C.

Of django/utils/autoreload.py (Django 4.2 to 6.1) this module uses ``restart_with_reloader``,
``start_django``, ``get_reloader``, ``DJANGO_AUTORELOAD_ENV`` and ``logger``; of
django/core/servers/basehttp.py, ``run`` decides what ``DevelopmentServer`` looks like.
``tests/test_seams.py`` compares the installed release.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from django.utils import autoreload

from .stopping import SAME_STOP, end_process

__all__ = ("run_with_reloader",)

_LEASH = "DJANGO_ASGI_LIFESPAN_LEASH"
"""The environment variable with the file descriptor of a pipe, which is closed to stop a child."""

_PATIENCE = 1.0
"""Seconds that the child has to end, when everything is closed."""

_STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
)


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

    The children end with the pipe, and so even if this process is killed.
    """
    read, write = os.pipe()
    if sys.platform != "win32":  # there, Ctrl+C reaches the child by itself
        os.set_inheritable(read, True)
        os.environ[_LEASH] = str(read)

    def let_go(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # it is closed already
            os.close(write)

    for number in _STOP_SIGNALS:
        signal.signal(number, let_go)
    sys.exit(autoreload.restart_with_reloader())


class _Child:
    """The process that serves: its main thread watches the files, another one runs the server."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._told_at: float | None = None
        self._is_closing = False

    def run(self, serve: Callable[..., None], options: dict[str, Any]) -> NoReturn:
        reloader = autoreload.get_reloader()
        autoreload.logger.info("Watching for file changes with %s", reloader.__class__.__name__)
        for number in _STOP_SIGNALS:
            signal.signal(number, self._handle)
        if _LEASH in os.environ:
            leash = int(os.environ.pop(_LEASH))
            threading.Thread(target=self._heed, args=(leash,), daemon=True).start()
        code: Any = 0
        try:
            autoreload.start_django(reloader, serve, **options)
        except SystemExit as reason:
            code = reason.code
        finally:
            self._is_closing = True
            self._stop()
        code = 0 if self._told_at is not None else code
        end_process(after=_PATIENCE, code=code)
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
        """Stop when the other end of the pipe is closed, unless an OS signal was faster."""
        os.set_inheritable(leash, False)
        os.read(leash, 1)
        if self._told_at is None:
            os.kill(os.getpid(), signal.SIGTERM)
