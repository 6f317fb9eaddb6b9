"""What can be mended under gunicorn's stock worker classes, from inside a worker.

The worker classes of this package need nothing from here: they drive the lifespan themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from gunicorn.workers.base import Worker

from django_asgi_lifespan.protocol import Receive

from .worker import LifespanWorkerBase

__all__ = ("application_made", "lifespan")

logger = logging.getLogger("django_asgi_lifespan")


def application_made(application: object) -> None:
    """Do nothing: this may be the arbiter, or no gunicorn at all."""


def lifespan(receive: Receive) -> AbstractContextManager[None] | None:
    """Return what mends a stock worker of gunicorn, or None in any other process."""
    server: Any = getattr(receive, "__self__", None)
    module = type(server).__module__
    if module == "gunicorn.asgi.lifespan":
        logger.warning(
            "gunicorn's own ASGI worker closes nothing where a request or a WebSocket outlives "
            "the graceful timeout, and gives what closes one second at SIGINT and SIGQUIT. Run "
            "gunicorn with -k django_asgi_lifespan_gunicorn.NativeLifespanWorker."
        )
    elif module == "uvicorn.lifespan.on":
        worker = getattr(server.config.callback_notify, "__self__", None)
        if isinstance(worker, Worker):
            return _mended(server, worker)
    return None


@contextmanager
def _mended(server: Any, worker: Worker) -> Generator[None]:
    """Give the ``UvicornWorker`` of uvicorn-worker what it lacks.

    uvicorn learns of SIGQUIT, of the graceful timeout, of a changed file and of the end of the
    arbiter, and the arbiter that a worker which is stopping is alive.
    Source: uvicorn_worker/_workers.py:72 and uvicorn_worker/_workers.py:107 in 0.4.0.
    """
    logger.info(
        "A UvicornWorker ends by an OS signal, without gunicorn's worker_exit hook and without "
        "atexit. Run gunicorn with -k django_asgi_lifespan_gunicorn.LifespanWorker."
    )
    if server.config.timeout_graceful_shutdown is None:
        share = LifespanWorkerBase.drain_share
        server.config.timeout_graceful_shutdown = worker.cfg.graceful_timeout * share
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGQUIT, signal.raise_signal, signal.SIGTERM)
    watch = loop.create_task(_watch(server, worker))
    try:
        yield
    finally:
        watch.cancel()


async def _watch(server: Any, worker: Worker) -> None:
    """Tell the arbiter that the worker is alive, and uvicorn when it is to stop.

    Not before the startup is done, because the arbiter counts from the first time on.
    """
    await server.startup_event.wait()
    while worker.alive and os.getppid() == worker.ppid:
        worker.notify()
        await asyncio.sleep(1)
    signal.raise_signal(signal.SIGTERM)
    while True:
        worker.notify()
        await asyncio.sleep(1)
