"""The budget of a worker that was told to stop, in seconds since some moment."""

from __future__ import annotations

import math
import signal

import pytest

from django_asgi_lifespan_gunicorn.stop import Stop

TERM, INT, QUIT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT


def make(graceful_timeout: float = 30) -> Stop:
    """Return a budget with the shares of the worker classes."""
    return Stop(graceful_timeout=graceful_timeout, drain_share=0.6, quick_timeout=3)


def test_nothing_is_limited_before_the_stop() -> None:
    """A worker serves for ever."""
    stop = make()
    assert (stop.requested, stop.drain_until, stop.end_by) == (False, math.inf, math.inf)


@pytest.mark.parametrize(
    ("graceful_timeout", "drain_until", "end_by"), [(30, 118, 129), (2, 101.2, 101.8)]
)
def test_the_graceful_timeout_is_shared_out(
    graceful_timeout: float, drain_until: float, end_by: float
) -> None:
    """Requests get their share, the lifespan the rest, the arbiter a margin."""
    stop = make(graceful_timeout)
    stop.request(100)
    assert stop.requested
    assert stop.drain_until == pytest.approx(drain_until)
    assert stop.end_by == pytest.approx(end_by)


def test_asking_again_gives_no_more_time() -> None:
    """The arbiter counts from the first time."""
    stop = make()
    stop.request(100)
    stop.request(110)
    stop.receive(TERM, 120)
    assert (stop.drain_until, stop.end_by) == (118, 129)


@pytest.mark.parametrize(
    ("received", "drain_until", "end_by"),
    [
        ([TERM], 118, 129),
        ([TERM, TERM], 118, 129),
        ([signal.SIGHUP], 118, 129),
        ([INT], 103, 129),
        ([QUIT], 103, 129),
        ([INT, QUIT], 103, 129),  # Ctrl+C
        ([QUIT, QUIT], 103, 129),
        ([INT, QUIT, INT], 102, 129),  # Ctrl+C twice: the arbiter is deaf to the second
        ([TERM, INT], 104, 129),  # the arbiter has seen both at once, or only the SIGTERM
        ([TERM, QUIT], 101, 102.8),
        ([TERM, INT, QUIT], 102, 103.8),
        ([INT, QUIT, TERM], 103, 129),
    ],
)
def test_what_the_arbiter_sends_decides_on_the_time(
    received: list[signal.Signals], drain_until: float, end_by: float
) -> None:
    """Each OS signal comes a second after the one before."""
    stop = make()
    for second, number in enumerate(received):
        stop.receive(number, 100 + second)
    assert stop.drain_until == pytest.approx(drain_until)
    assert stop.end_by == pytest.approx(end_by)
