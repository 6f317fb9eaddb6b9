"""Names by which this package recognises the parts of granian and Django."""

from __future__ import annotations

import inspect
import signal

import django
from django.core.handlers.asgi import ASGIHandler
from granian._futures import _future_watcher_wrapper
from granian._granian import WorkerSignal
from granian.log import logger
from granian.server.mp import MPServer

from django_asgi_lifespan_granian import worker


def test_names() -> None:
    """Tasks and the function that is a worker are recognised by them."""

    async def inner(scope: object, protocol: object) -> None:
        """Stand for an application."""

    assert MPServer._spawn_asgi_lifespan_worker.__wrapped__.__name__ == worker.WORKER
    assert _future_watcher_wrapper(inner).__qualname__ == worker.REQUEST
    assert logger.name == worker.logger.name
    assert callable(WorkerSignal.set)


def test_the_name_of_a_view() -> None:
    """From Django 5.0 to 6.0 it has a task of its own; else it runs in the one of the request."""
    constants = filter(inspect.iscode, ASGIHandler.handle.__code__.co_consts)
    names = [f"ASGIHandler.handle.<locals>.{each.co_name}" for each in constants]
    assert (worker.VIEW in names) == ((5, 0) <= django.VERSION < (6, 1))


def test_outside_a_worker_there_is_nothing_to_stop() -> None:
    """As in granian's embedded server."""
    assert worker.find_shutdown_event() is None


def test_outside_a_worker_os_signals_are_left_alone() -> None:
    """An application is made in other processes, too."""
    from django_asgi_lifespan_granian import hooks

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    hooks.application_made(object())
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
