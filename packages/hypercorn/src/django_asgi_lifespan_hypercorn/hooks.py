"""Finds out whether a command of hypercorn's runs this process, and adapts its lifespan then."""

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
    """Adapts the workers of hypercorn's commands.

    A program that calls hypercorn's ``serve()`` or ``run()`` looks after its own end.
    """

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        """Return a worker, if it is starting up and this is its first lifespan."""
        worker = variables_on_stack(asyncio_worker) or variables_on_stack(uvloop_worker)
        spawned = multiprocessing.parent_process() and not variables_on_stack(run)
        if in_main_thread() and worker and (spawned or variables_on_stack(main)):
            for serving in calls(*SERVE):
                server = serving.variables.get("lifespan")
                # A second server, of a program's own, runs in the task of another function.
                is_own = getattr(serving.task.get_coro(), "__name__", "") == SERVE[1]
                if is_own and server and not server.startup.is_set() and not is_held(server):
                    return Worker(serving, lifespan)
        return None
