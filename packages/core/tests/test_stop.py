"""The stop of a server, rung by rung, on the virtual clock.

The server is a fake: its requests are tasks that end at their own time, or when they are
disconnected, or when they are cancelled, or when nobody waits for them any more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import signal
from collections.abc import Collection
from typing import Any

import pytest

from django_asgi_lifespan.adapters import Deadlines, Receive, Stop, is_held
from django_asgi_lifespan.adapters.limits import LAST_WORK
from django_asgi_lifespan.supervisor import GRACE

LIMIT = 10.0
OPTION = "--graceful-timeout"

logger = logging.getLogger("tests")


class FakeServer:
    """A server that writes a journal of the steps of its stop, with the seconds since the begin."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.starting = False
        self.interrupts_until_it_ends = 1
        self._gone = asyncio.Event()
        self._released = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def note(self, event: str) -> None:
        self.journal.append(f"{self._loop.time() - self._began:g} {event}")

    def request(self, kind: str, *, seconds: float = math.inf) -> None:
        """Begin a request that ends after *seconds*, or as its *kind* says."""
        self._tasks.append(asyncio.ensure_future(self._serve(kind, seconds)))

    async def _serve(self, kind: str, seconds: float) -> None:
        waits = {
            "ends": asyncio.sleep(min(seconds, 1e6)),
            "obeys the disconnect": self._gone.wait(),
            "obeys the cancellation": self._released.wait(),
            "obeys nothing": self._released.wait(),
        }
        waiting = asyncio.ensure_future(waits.pop(kind))
        for unused in waits.values():
            unused.close()
        while not waiting.done():
            try:
                await asyncio.wait({waiting})
            except asyncio.CancelledError:
                self.note("cancelled")
                if kind != "obeys nothing":
                    waiting.cancel()
                    raise
        self.note("request ended")

    def is_starting(self) -> bool:
        return self.starting

    def interrupt_startup(self) -> None:
        self.note("startup interrupted")
        self.interrupts_until_it_ends -= 1
        self.starting = self.interrupts_until_it_ends > 0

    def stop_listening(self) -> None:
        self.note("listens no more")

    def requests(self) -> Collection[asyncio.Task[Any]]:
        return [task for task in self._tasks if not task.done()]

    def disconnect(self) -> None:
        self.note("disconnected")
        self._gone.set()

    def abandon(self) -> None:
        self.note("abandoned")

    async def end(self) -> None:
        """End the requests that obeyed nothing."""
        self._released.set()
        if self._tasks:
            await asyncio.wait(self._tasks)


class FakeLifespan:
    """A lifespan that notes in the journal of *server* each notice that it gets."""

    receive: Receive | None = None
    is_adapted = True
    shutdown_failed = False
    is_leaving = False

    def __init__(
        self,
        server: FakeServer,
        *,
        websockets: float = 0.0,
        phase: str = "",
        drain_delay: float = 0.0,
    ) -> None:
        self.phase = phase
        self.drain_delay = drain_delay
        self._server = server
        self._websockets = websockets

    def announce_stopping(self) -> None:
        self._server.note("announced")

    async def close_websockets(self) -> None:
        await asyncio.sleep(self._websockets)
        self._server.note("WebSockets closed")


def stop_of(server: FakeServer, limit: float | None = LIMIT) -> Stop:
    """Return the stop of *server*, on the clock of the event loop."""
    clock = asyncio.get_running_loop().time
    return Stop(server, Deadlines(limit), option=OPTION, logger=logger, clock=clock)


BEGIN = ["0 listens no more"]


@pytest.mark.parametrize(
    ("kind", "seconds", "expected"),
    [
        ("ends", 0.0, ["0 request ended"]),
        ("ends", 3.0, ["3 request ended"]),
        ("ends", 9.25, ["9 disconnected", "9.25 request ended"]),
        ("obeys the disconnect", math.inf, ["9 disconnected", "9 request ended"]),
        ("obeys the cancellation", math.inf, ["9 disconnected", "9.5 cancelled"]),
        ("obeys nothing", math.inf, ["9 disconnected", "9.5 cancelled", "10 abandoned"]),
    ],
)
async def test_every_rung(kind: str, seconds: float, expected: list[str]) -> None:
    """In the last second of the limit: disconnect, cancel, abandon."""
    server = FakeServer()
    server.request(kind, seconds=seconds)
    stop = stop_of(server)
    stop.receive(signal.SIGTERM)
    await stop.run(until_idle=True)
    assert server.journal == BEGIN + expected
    await server.end()


@pytest.mark.parametrize("interval", [0.0, 0.02, 0.49])
async def test_an_early_second_sigint_is_the_same_stop(interval: float) -> None:
    """A terminal and a program that runs the server both tell it to stop."""
    server = FakeServer()
    server.request("obeys the disconnect")
    stop = stop_of(server)
    stop.receive(signal.SIGTERM)
    stopping = asyncio.ensure_future(stop.run(until_idle=True))
    await asyncio.sleep(interval)
    stop.receive(signal.SIGINT)
    await stopping
    assert server.journal == [*BEGIN, "9 disconnected", "9 request ended"]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("obeys the disconnect", ["2 disconnected", "2 request ended"]),
        ("obeys the cancellation", ["2 disconnected", "2.5 cancelled"]),
        ("obeys nothing", ["2 disconnected", "2.5 cancelled", "3 abandoned"]),
    ],
)
@pytest.mark.parametrize("limit", [LIMIT, None])
async def test_a_late_second_sigint_gives_requests_up(
    limit: float | None, first: int, kind: str, expected: list[str]
) -> None:
    """Also where there is no limit."""
    server = FakeServer()
    server.request(kind)
    stop = stop_of(server, limit)
    stop.receive(first)
    stopping = asyncio.ensure_future(stop.run(until_idle=True))
    await asyncio.sleep(2)
    stop.receive(signal.SIGINT)
    await stopping
    assert server.journal == BEGIN + expected
    await server.end()


async def test_a_second_sigterm_hastens_nothing() -> None:
    """Supervisors repeat it."""
    server = FakeServer()
    server.request("ends", seconds=3)
    stop = stop_of(server)
    stop.receive(signal.SIGTERM)
    stopping = asyncio.ensure_future(stop.run(until_idle=True))
    await asyncio.sleep(2)
    stop.receive(signal.SIGTERM)
    await stopping
    assert server.journal == [*BEGIN, "3 request ended"]


async def test_a_second_sigint_that_comes_before_the_stop_runs_counts() -> None:
    """The event loop was blocked by a view."""
    server = FakeServer()
    server.request("obeys the disconnect")
    now = 0.0
    stop = Stop(server, Deadlines(LIMIT), option=OPTION, logger=logger, clock=lambda: now)
    stop.receive(signal.SIGINT)
    now = 0.6
    stop.receive(signal.SIGINT)
    await stop.run(until_idle=True)
    assert server.journal == [*BEGIN, "0 disconnected", "0 request ended"]


async def test_a_budget_that_is_cut_while_it_runs() -> None:
    """The parent process of the server has lost its patience."""
    server = FakeServer()
    server.request("obeys nothing")
    stop = stop_of(server)
    stop.receive(signal.SIGTERM)
    stopping = asyncio.ensure_future(stop.run(until_idle=True))
    await asyncio.sleep(1)
    stop.deadlines.shorten(1.0, 3.0)
    stop.deadlines.shorten(1.0, 5.0)  # more time than there is left changes nothing
    await stopping
    assert server.journal == [*BEGIN, "3 disconnected", "3.5 cancelled", "4 abandoned"]
    await server.end()


async def test_a_limit_below_two_seconds_is_halved() -> None:
    """Requests have their first half in peace."""
    server = FakeServer()
    server.request("obeys nothing")
    stop = stop_of(server, 1.0)
    stop.request()
    await stop.run(until_idle=True)
    assert server.journal == [*BEGIN, "0.5 disconnected", "0.75 cancelled", "1 abandoned"]
    await server.end()


async def test_no_time_at_all_leaves_the_second_to_clean_up() -> None:
    """Views run their clean-up while every resource still works."""
    server = FakeServer()
    server.request("obeys nothing")
    stop = stop_of(server, 0.0)
    stop.request()
    await stop.run(until_idle=True)
    assert server.journal == [*BEGIN, "0 disconnected", "0.5 cancelled", "1 abandoned"]
    await server.end()


async def test_the_lifespan_learns_of_the_stop_before_the_server_stops_listening() -> None:
    """WebSockets are closed in between."""
    server = FakeServer()
    stop = stop_of(server)
    stop.lifespan = FakeLifespan(server, websockets=0.25)
    stop.receive(signal.SIGTERM)
    await stop.run(until_idle=True)
    assert server.journal == ["0 announced", "0.25 WebSockets closed", "0.25 listens no more"]


async def test_requests_that_begin_late_are_seen_to() -> None:
    """A server may accept some while it is told to stop."""
    server = FakeServer()
    stop = stop_of(server)
    stopping = asyncio.ensure_future(stop.run())
    await asyncio.sleep(0)
    assert server.journal == []
    assert not stop.has_begun
    stop.receive(signal.SIGTERM)
    assert stop.has_begun
    await asyncio.sleep(4)
    server.request("obeys the disconnect")
    await asyncio.sleep(5.3)
    server.request("obeys nothing")
    await stopping
    assert server.journal == [
        *BEGIN,
        "9 disconnected",
        "9 request ended",
        "9.3 disconnected",
        "9.5 cancelled",
        "10 abandoned",
    ]
    await server.end()


async def test_a_stop_beside_an_idle_server_ends_at_the_limit() -> None:
    """Clients without a request are cut off, and nothing is abandoned where nothing is left."""
    server = FakeServer()
    stop = stop_of(server)
    stop.request()
    await stop.run()
    assert server.journal == [*BEGIN, "9 disconnected"]
    assert asyncio.get_running_loop().time() == pytest.approx(LIMIT)


@pytest.mark.parametrize(
    ("phase", "expected"), [("running", ["10 abandoned"]), ("stopping", []), ("stopped", [])]
)
async def test_a_server_that_waits_without_a_request_is_abandoned(
    phase: str, expected: list[str]
) -> None:
    """A client has sent half a request. A shutdown that has begun is left to run."""
    server = FakeServer()
    stop = stop_of(server)
    stop.lifespan = FakeLifespan(server, phase=phase)
    stop.request()
    await stop.run()
    assert server.journal == [
        "0 announced",
        "0 WebSockets closed",
        *BEGIN,
        "9 disconnected",
        *expected,
    ]


async def test_a_startup_is_interrupted_by_the_first_signal() -> None:
    """The rest of the stop follows, in case that the server serves all the same."""
    server = FakeServer()
    server.starting = True
    stop = stop_of(server)
    stop.lifespan = FakeLifespan(server)
    stop.receive(signal.SIGINT)
    await stop.run(until_idle=True)
    assert server.journal == [
        "0 startup interrupted",
        "0 announced",
        "0 WebSockets closed",
        "0 listens no more",
    ]


async def test_a_late_second_sigint_interrupts_a_startup_once_more() -> None:
    """The first interruption may wait for a resource to close; the second cuts that short."""
    server = FakeServer()
    server.starting = True
    server.interrupts_until_it_ends = 2
    stop = stop_of(server)
    stop.receive(signal.SIGINT)
    stopping = asyncio.ensure_future(stop.run(until_idle=True))
    await asyncio.sleep(0.2)
    stop.receive(signal.SIGINT)  # of the same stop
    await asyncio.sleep(0.8)
    assert server.journal == ["0 startup interrupted"]
    stop.receive(signal.SIGINT)
    await stopping
    assert server.journal == [
        "0 startup interrupted",
        "1 startup interrupted",
        "1.05 listens no more",
    ]


async def test_the_log_has_two_sentences(caplog: pytest.LogCaptureFixture) -> None:
    """How long the requests have, and that they are given up."""
    caplog.set_level(logging.INFO)
    server = FakeServer()
    for _ in range(2):
        server.request("obeys the disconnect")
    stop = stop_of(server)
    stop.receive(signal.SIGTERM)
    await stop.run(until_idle=True)
    assert caplog.messages == [
        "Waiting at most 10 s for requests in flight: 2 (--graceful-timeout).",
        "Giving up requests in flight: 2.",
    ]


async def test_requests_that_end_at_once_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """A request that was answered a moment ago would look like a leak."""
    caplog.set_level(logging.INFO)
    server = FakeServer()
    server.request("ends", seconds=0.4)
    stop = stop_of(server, None)
    stop.receive(signal.SIGTERM)
    await stop.run(until_idle=True)
    assert caplog.messages == []


async def test_waiting_without_a_limit_names_the_option(caplog: pytest.LogCaptureFixture) -> None:
    """The remedy stands in the line."""
    caplog.set_level(logging.INFO)
    server = FakeServer()
    server.request("ends", seconds=1)
    stop = stop_of(server, None)
    stop.receive(signal.SIGTERM)
    await stop.run(until_idle=True)
    assert caplog.messages == [
        "Waiting without a limit for requests in flight: 1 (set one with --graceful-timeout)."
    ]


def test_a_stop_whose_event_loop_is_closed_ignores_os_signals() -> None:
    """They may still arrive while the process ends."""

    async def make() -> Stop:
        return stop_of(FakeServer())

    loop = asyncio.new_event_loop()
    stop = loop.run_until_complete(make())
    loop.close()
    stop.request()
    assert stop.deadlines.begun_at is not None


def test_deadlines_before_a_kill() -> None:
    """Requests have a share, and the shutdown all that is left, but for the process's own end."""
    deadlines = Deadlines.before_kill(30.0, share=0.5)
    assert deadlines.limit == 15.0
    deadlines.begin(100.0)
    deadlines.begin(200.0)  # counts once
    assert deadlines.begun_at == 100.0
    assert (deadlines.disconnect_at, deadlines.cancel_at, deadlines.abandon_at) == (
        114.0,
        114.5,
        115.0,
    )
    assert deadlines.end_by == 129.0
    deadlines.kill(101.0, 2.0)
    assert deadlines.end_by == pytest.approx(102.8)
    deadlines.hurry(101.0)
    assert (deadlines.disconnect_at, deadlines.abandon_at) == (101.0, 102.0)
    assert deadlines.limit == 2.0


def test_a_phase_is_cut_so_early_that_it_ends_in_time() -> None:
    """A lifespan that is cancelled twice gives up after a grace, and has time for the rest."""
    assert LAST_WORK > GRACE
    deadlines = Deadlines.before_kill(30.0)
    assert deadlines.cut_at == math.inf
    deadlines.begin(100.0)
    assert deadlines.end_by - deadlines.cut_at == LAST_WORK


async def test_a_stop_beside_a_server_ends_with_the_block() -> None:
    """The server is held until then, and what was watched is cancelled."""
    server = FakeServer()
    stop = stop_of(server)
    watched = asyncio.get_running_loop().create_future()
    with stop.beside(server, watched):
        assert is_held(server)
        stop.request()
        await asyncio.sleep(LIMIT / 2)
        assert server.journal == BEGIN
    assert not is_held(server)
    assert watched.cancelled()
    await asyncio.sleep(LIMIT)
    assert server.journal == BEGIN


async def test_the_event_is_set_when_the_stop_begins() -> None:
    """Code that waits for the stop need not poll."""
    stop = stop_of(FakeServer())
    assert not stop.begun.is_set()
    stop.request()
    await stop.begun.wait()
    assert stop.has_begun


def test_deadlines_without_a_limit() -> None:
    """Only a hurried stop gives requests up."""
    deadlines = Deadlines(None)
    deadlines.begin(5.0)
    assert deadlines.abandon_at == deadlines.end_by == math.inf
    assert deadlines.limit is None
