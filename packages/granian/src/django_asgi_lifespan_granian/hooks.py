"""Finds out whether granian runs this process as a worker, and adapts its lifespan then."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path
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

from .stop import Worker

__all__ = ("GranianAdapter",)

WORKER = "_spawn_asgi_lifespan_worker"
"""The name of the function that is a worker."""

PROCESS = "granian-worker"
"""The name of the process that is a worker."""

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
        the twin it has none.) A spawned worker has Python's own handlers.

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
        elif multiprocessing.current_process().name == PROCESS and in_main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)

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
        kill_timeout, reloads = _options()
        return Worker(protocol, event, lifespan, kill_timeout=kill_timeout, delays=not reloads)


def _options() -> tuple[float | None, bool]:
    """Return the seconds after which granian kills this worker, and whether it reloads on changes.

    A forked worker runs on a copy of its parent's stack. A spawned one has the parent's command
    line, which is that of granian's command or means something else, and its environment.
    """
    parent = variables_on_stack(cast("Any", AbstractServer).serve)
    if parent is not None:
        return parent["self"].workers_kill_timeout, parent["self"].reload_on_changes
    from granian.cli import cli

    words = sys.argv[1:] if _is_command(Path(sys.argv[0])) else []
    given = cli.make_context("granian", words, resilient_parsing=True, auto_envvar_prefix="GRANIAN")
    return given.params["workers_kill_timeout"], bool(given.params["reload"])


def _is_command(program: Path) -> bool:
    """Return whether *program* is granian's script, or the module behind ``python -m granian``."""
    return program.name == "granian" or program.parts[-2:] == ("granian", "__main__.py")
