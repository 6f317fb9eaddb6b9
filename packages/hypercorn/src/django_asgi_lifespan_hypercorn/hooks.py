"""Finds out whether hypercorn's own commands run this process, and adapts its lifespan then."""

from __future__ import annotations

import multiprocessing
from contextlib import AbstractContextManager

from hypercorn.__main__ import main
from hypercorn.asyncio.run import asyncio_worker, uvloop_worker
from hypercorn.run import run

from django_asgi_lifespan.adapters import (
    AdaptedLifespan,
    Adapter,
    calls,
    in_main_thread,
    is_held,
    variables_on_stack,
)

from .stop import SERVE, Worker

__all__ = ("HypercornAdapter",)


class HypercornAdapter(Adapter):
    """Adapts the workers of hypercorn's command, and of its twin.

    A program that calls hypercorn's ``serve()`` or ``run()`` looks after its own end.
    """

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        """Return a worker's orderly stop, if this is its first lifespan and it is starting up."""
        spawned = multiprocessing.parent_process() is not None
        if not in_main_thread() or not _is_worker(spawned=spawned):
            return None
        for serving in calls(*SERVE):
            server = serving.variables.get("lifespan")
            # A second server of the program's own runs in a task of another function.
            is_own = getattr(serving.task.get_coro(), "__name__", "") == SERVE[1]
            if is_own and server and not server.startup.is_set() and not is_held(server):
                return Worker(serving, lifespan, spawned=spawned)
        return None


def _is_worker(*, spawned: bool) -> bool:
    """Return whether the worker function of hypercorn's runs here for its command.

    It runs in a process that the command has spawned, or with ``--workers 0`` in the command's.
    """
    if all(variables_on_stack(each) is None for each in (asyncio_worker, uvloop_worker)):
        return False
    by_run = variables_on_stack(run) is not None
    return (spawned and not by_run) or variables_on_stack(main) is not None
