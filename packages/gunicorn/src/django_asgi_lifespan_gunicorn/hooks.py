"""The adapter for gunicorn's worker classes: those of this package, and the stock ones."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from gunicorn.workers.base import Worker

from django_asgi_lifespan.adapters import (
    AdaptedLifespan,
    Adapter,
    calls,
    handle_os_signals,
    is_held,
    log,
    variables_on_stack,
)

from .stop import UvicornRequests, WorkerStop
from .worker import LifespanWorkerBase

__all__ = ("GunicornAdapter",)

logger = logging.getLogger("django_asgi_lifespan")


class GunicornAdapter(Adapter):
    """Acts for the worker that runs this process, while the startup of its application goes on."""

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        """Return the stop of the worker for *lifespan*. A worker class of ours has one already."""
        worker: Any = (variables_on_stack(Worker.init_process) or {}).get("self")
        if worker is None or is_held(worker):
            return None
        if lifespan.drain_delay:
            _require_port(worker)
        if isinstance(worker, LifespanWorkerBase):
            return worker.held_for(lifespan) if worker.is_starting() else None
        for call in calls("uvicorn.server", "Server.serve"):
            server = call.variables["self"]
            if server.config is getattr(worker, "config", None) and not server.started:
                return _orderly_stop(server, worker, lifespan)
        if hasattr(worker, "servers") and not worker.servers:  # gunicorn.workers.gasgi
            log(
                logger,
                logging.WARNING,
                "gunicorn's own ASGI worker closes nothing where a request or a WebSocket outlives "
                "the graceful timeout, and leaves one second to close at SIGINT and SIGQUIT. Run "
                "gunicorn with -k django_asgi_lifespan_gunicorn.NativeLifespanWorker. "
                "[lifespan-native-worker]",
            )
        return None


def _require_port(worker: Any) -> None:
    """Require that clients find a worker that is told to stop.

    The arbiter removes its Unix sockets at once (``Arbiter.stop()``, gunicorn/arbiter.py:449).

    Raises:
        ImproperlyConfigured: they do not.
    """
    paths = [address for address in worker.cfg.address if isinstance(address, str)]
    if paths and not worker.cfg.reuse_port:
        raise ImproperlyConfigured(
            f"DRAIN_DELAY has no effect with a Unix socket: gunicorn removes {paths[0]} at "
            f"SIGTERM, so that no client finds the worker. Bind to a port, or set DRAIN_DELAY to "
            f"0. [lifespan-no-delay]"
        )


@contextmanager
def _orderly_stop(server: Any, worker: Any, lifespan: AdaptedLifespan) -> Generator[None]:
    """Stop the ``UvicornWorker`` of uvicorn-worker in the order of every adapter.

    The worker itself knows nothing of SIGQUIT, of the graceful timeout, of a changed file and of
    the end of the arbiter (uvicorn_worker/_workers.py:67, uvicorn_worker/_workers.py:107).
    """
    stop = WorkerStop(_StockServer(server), worker)
    stop.lifespan = lifespan
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
    watch = _watch(server, worker, stop)
    with handle_os_signals(numbers, stop.receive), stop.beside(worker, watch):
        yield


async def _watch(server: Any, worker: Any, stop: WorkerStop) -> None:
    """Tell the arbiter that the worker is alive, and begin a stop that no OS signal has begun.

    Not before the startup is done, because the arbiter counts from the first time on.
    """
    await server.lifespan.startup_event.wait()
    while True:
        worker.notify()
        listens = not server.started or any(each.is_serving() for each in server.servers)
        if server.should_exit or not (worker.alive and listens and os.getppid() == worker.ppid):
            stop.request()
        await asyncio.sleep(1)


class _StockServer(UvicornRequests):
    """The server in a ``UvicornWorker``, as its stop sees it."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def is_starting(self) -> bool:
        return not self._server.lifespan.startup_event.is_set()

    def interrupt_startup(self) -> None:
        self._server.should_exit = True  # or uvicorn would serve without the lifespan
        for call in calls("uvicorn.lifespan.on", "LifespanOn.main"):
            if call.variables["self"] is self._server.lifespan:
                call.task.cancel()

    def abandon(self) -> None:
        self._server.server_state.tasks.clear()
        self._server.server_state.connections.clear()
