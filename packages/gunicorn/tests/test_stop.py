"""The deadlines of a worker that was told to stop, in seconds since some moment."""

from __future__ import annotations

import asyncio
import logging
import signal
from types import SimpleNamespace

import pytest

from django_asgi_lifespan_gunicorn.stop import UvicornRequests, WorkerStop

LOG = SimpleNamespace(error_log=logging.getLogger("tests"))

TERM, INT, QUIT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT


class Nothing(UvicornRequests):
    """A server that nobody stops here."""

    def is_starting(self) -> bool:
        return False

    def interrupt_startup(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing."""


def stopped_by(*received: int, graceful_timeout: float = 30) -> WorkerStop:
    """Return a stop with the shares of the worker classes, after OS signals a second apart."""
    now = 99

    async def make() -> WorkerStop:
        settings = SimpleNamespace(graceful_timeout=graceful_timeout, reload=False)
        worker = SimpleNamespace(cfg=settings, log=LOG)
        return WorkerStop(Nothing(), worker, clock=lambda: now)

    stop = asyncio.run(make())
    for number in received:
        now += 1
        stop.receive(number)
    return stop


def test_nothing_is_limited_before_the_stop() -> None:
    """A worker serves for ever."""
    assert not stopped_by().has_begun


@pytest.mark.parametrize(
    ("graceful_timeout", "abandon_at", "end_by"), [(30, 118, 129), (2, 101.2, 101.8)]
)
def test_the_graceful_timeout_is_shared_out(
    graceful_timeout: float, abandon_at: float, end_by: float
) -> None:
    """Requests get their share, the lifespan the rest, the arbiter a margin."""
    deadlines = stopped_by(TERM, graceful_timeout=graceful_timeout).deadlines
    assert deadlines.abandon_at == pytest.approx(abandon_at)
    assert deadlines.end_by == pytest.approx(end_by)


def test_asking_again_gives_no_more_time() -> None:
    """The arbiter counts from the first time."""
    stop = stopped_by(TERM, TERM)
    stop.request()
    assert (stop.deadlines.abandon_at, stop.deadlines.end_by) == (118, 129)


@pytest.mark.parametrize(
    ("received", "disconnect_at", "end_by"),
    [
        ([TERM], 117, 129),
        ([TERM, TERM], 117, 129),
        ([signal.SIGHUP], 117, 129),
        ([INT], 102, 129),
        ([QUIT], 102, 129),
        ([INT, QUIT], 102, 129),  # Ctrl+C
        ([QUIT, QUIT], 102, 129),
        ([INT, QUIT, INT], 102, 129),  # Ctrl+C twice: the arbiter is deaf to the second
        ([INT, INT], 101, 129),
        ([TERM, INT], 101, 129),  # the arbiter has seen both at once, or only the SIGTERM
        ([TERM, QUIT], 101, 102.8),
        ([TERM, INT, QUIT], 101, 103.8),
        ([INT, QUIT, TERM], 102, 129),
    ],
)
def test_each_os_signal_leaves_the_time_that_the_arbiter_leaves(
    received: list[signal.Signals], disconnect_at: float, end_by: float
) -> None:
    """Each OS signal comes a second after the one before."""
    deadlines = stopped_by(*received).deadlines
    assert deadlines.disconnect_at == pytest.approx(disconnect_at)
    assert deadlines.end_by == pytest.approx(end_by)
