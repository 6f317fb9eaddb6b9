"""What the adapter does inside a worker of granian's, under its own command."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from contextlib import AbstractContextManager
from typing import Any, cast

from granian.asgi import LifespanProtocol
from granian.server.common import AbstractServer

from django_asgi_lifespan.protocol import Receive

from .worker import OrderlyStop, find_shutdown_event

__all__ = ("application_made", "lifespan")

_server: Any = None
"""The copy of the parent's server that a forked worker has."""


def application_made(application: object) -> None:
    """Let a worker that is told to stop end, while nothing is open yet.

    A forked worker has the OS signal handlers of its parent, which only take a note in the
    worker's copy of the parent's server (granian/server/common.py:338 in 2.8.7).

    Raises:
        SystemExit: with 0, if the worker was told to stop while the application was imported.
    """
    global _server
    owner: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    is_server = isinstance(cast("object", owner), AbstractServer)
    if is_server and multiprocessing.parent_process() is not None:
        _server = owner
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        if _server.interrupt_signal:
            sys.exit(0)


def lifespan(receive: Receive) -> AbstractContextManager[None] | None:
    """Return an orderly stop, where granian's command runs this process.

    granian's receive is a method of its ``LifespanProtocol`` (granian/asgi.py:67 in 2.8.7), which
    its embedded server has, too: that one stops when the program around it says so.
    """
    server = getattr(receive, "__self__", None)
    if isinstance(server, LifespanProtocol) and sys.platform != "win32":
        shutdown_event = find_shutdown_event()
        if shutdown_event is not None:
            return OrderlyStop(
                shutdown_event, kill_timeout=getattr(_server, "workers_kill_timeout", None)
            )
    return None
