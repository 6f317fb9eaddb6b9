"""Names by which this package recognises the parts of granian and Django."""

from __future__ import annotations

import inspect
import signal
from types import SimpleNamespace
from typing import Any

import django
from django.core.handlers.asgi import ASGIHandler
from granian._futures import _future_watcher_wrapper
from granian._granian import WorkerSignal
from granian.asgi import LifespanProtocol
from granian.log import logger
from granian.server.mp import MPServer

from django_asgi_lifespan_granian import hooks, stop


def test_names() -> None:
    """Tasks and the function that is a worker are recognised by them."""

    async def inner(scope: object, protocol: object) -> None:
        """Stand for an application."""

    assert MPServer._spawn_asgi_lifespan_worker.__wrapped__.__name__ == hooks.WORKER
    watcher = _future_watcher_wrapper(inner)
    assert (watcher.__module__, watcher.__qualname__) == stop.REQUEST
    assert (LifespanProtocol.__module__, LifespanProtocol.handle.__qualname__) == stop.LIFESPAN
    assert logger.name == stop.logger.name
    assert callable(WorkerSignal.set)


def test_the_name_of_a_view() -> None:
    """From Django 5.0 to 6.0 it has a task of its own; else it runs in the one of the request."""
    constants = filter(inspect.iscode, ASGIHandler.handle.__code__.co_consts)
    names = [f"ASGIHandler.handle.<locals>.{each.co_name}" for each in constants]
    assert ASGIHandler.__module__ == stop.VIEW[0]
    assert (stop.VIEW[1] in names) == ((5, 0) <= django.VERSION < (6, 1))


def test_outside_a_worker_the_adapter_is_off() -> None:
    """As in granian's embedded server, and in every other process that makes an application."""
    adapter = hooks.GranianAdapter()
    lifespan: Any = SimpleNamespace(receive=None)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    adapter.application_made(object())
    assert adapter.lifespan(lifespan) is None
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
