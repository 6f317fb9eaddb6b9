"""Finds out whether granian runs this process as a worker, and adapts its lifespan then."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AbstractContextManager
from threading import Event
from typing import Any, cast

from granian._granian import WorkerSignal
from granian.asgi import LifespanProtocol
from granian.server.common import AbstractServer

from django_asgi_lifespan.adapters import (
    AdaptedLifespan,
    Adapter,
    in_main_thread,
    is_held,
    variables_on_stack,
)

from .stop import KILL_TIMEOUT, Worker

__all__ = ("GranianAdapter",)

WORKER = "_spawn_asgi_lifespan_worker"
"""The name of the function that is a worker."""

RESPAWN = cast("Any", AbstractServer)._respawn_workers
"""The function that forks workers which replace others."""


class GranianAdapter(Adapter):
    """Adapts the workers of granian's command, of its twin, and of a program's ``Granian``.

    The program itself is left alone, and so is granian's embedded server.
    """

    def application_made(self, application: Any) -> None:
        """Let a worker that is told to stop end while nothing is open yet.

        A forked worker has the OS signal handlers of its parent, which only take a note in the
        worker's copy of the parent's server (granian/server/common.py:338 in 2.8.9). A worker that
        replaces another one may have that note from its parent, which then stops it soon. (Under
        the twin it has none.)

        Raises:
            SystemExit: with 0, if the worker was told to stop while the application was imported.
        """
        server: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if isinstance(cast("object", server), AbstractServer) and server.pid != os.getpid():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor sends SIGTERM for it
            if server.interrupt_signal:
                respawn = variables_on_stack(RESPAWN)
                if respawn and "django_asgi_lifespan_granian.command" not in sys.modules:
                    Event().wait(respawn["delay"] * (1 + len(respawn["workers"])))
                sys.exit(0)

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[None] | None:
        """Return the orderly stop of a worker, if this is its first lifespan and it starts up."""
        if sys.platform == "win32" or not in_main_thread():
            return None
        worker = variables_on_stack(WORKER) or {}
        protocol, event = worker.get("lifespan_handler"), worker.get("shutdown_event")
        if not isinstance(protocol, LifespanProtocol) or not isinstance(event, WorkerSignal):
            return None
        if protocol.event_startup.is_set() or is_held(protocol):
            return None
        # A forked worker runs on a copy of its parent's stack.
        parent = variables_on_stack(cast("Any", AbstractServer).serve)
        told = parent["self"].workers_kill_timeout if parent else os.environ.get(KILL_TIMEOUT)
        kill_timeout = None if told is None else float(told)
        delays = parent is None or not parent["self"].reload_on_changes
        return Worker(protocol, event, lifespan, kill_timeout=kill_timeout, delays=delays)
