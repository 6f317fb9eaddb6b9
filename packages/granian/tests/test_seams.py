"""What this package reads and calls of granian and Django is there, in this release."""

from __future__ import annotations

import inspect
import signal

import django
import pytest
from django.core.handlers.asgi import ASGIHandler
from granian._futures import _future_watcher_wrapper
from granian._granian import WorkerSignal
from granian._signals import set_loop_signals, set_main_signals
from granian.asgi import LifespanProtocol
from granian.log import logger
from granian.server.common import AbstractServer
from granian.server.mp import MPServer

from django_asgi_lifespan_granian import worker


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (MPServer._spawn_asgi_lifespan_worker, "shutdown_event = set_loop_signals(loop)"),
        (MPServer._spawn_asgi_lifespan_worker, "serve(scheduler, loop, shutdown_event)"),
        (MPServer._spawn_asgi_lifespan_worker, "run_until_complete(lifespan_handler.startup())"),
        (LifespanProtocol.handle, "self.receive,"),
        (set_loop_signals, "signal_event = WorkerSignal()"),
        (set_loop_signals, "loop.add_signal_handler(sigval, signal_handler, sigval, None)"),
        (set_main_signals, "signal.signal(sig, interrupt_handler)"),
        (AbstractServer.startup, "set_main_signals(self.signal_handler_interrupt"),
        (AbstractServer.signal_handler_interrupt, "self.interrupt_signal = True"),
        (AbstractServer.__init__, "self.interrupt_signal = False"),
        (AbstractServer.__init__, "self.workers_kill_timeout = workers_kill_timeout"),
    ],
    ids=lambda value: getattr(value, "__qualname__", value),
)
def test_lines(method: object, text: str) -> None:
    """Each stands where this package relies on it."""
    assert text in inspect.getsource(method)  # type: ignore[arg-type]


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
