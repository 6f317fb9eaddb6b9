"""The drain delay, on the virtual clock: readiness fails at SIGTERM, and the stop begins later."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_asgi_lifespan import resource, run_lifespan
from django_asgi_lifespan.adapters import Deadlines, Stop
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import lifespans
from test_probes import ask
from test_stop import LIMIT, OPTION, FakeLifespan, FakeServer, logger, stop_of

DELAY = 5.0
STOPPED = ["announced", "WebSockets closed", "listens no more"]


class Scene:
    """A server with its lifespan and its stop, which runs in a task."""

    def __init__(self, *, phase: str = "running", **options: Any) -> None:
        self.server = FakeServer()
        self.lifespan = FakeLifespan(self.server, phase=phase, drain_delay=DELAY)
        clock = asyncio.get_running_loop().time
        given: dict[str, Any] = {"deadlines": Deadlines(LIMIT), "option": OPTION, **options}
        self.stop = Stop(self.server, logger=logger, clock=clock, **given)
        self.stop.lifespan = self.lifespan
        self.running = asyncio.ensure_future(self.stop.run(until_idle=True))

    async def journal(self) -> list[str]:
        """Return the journal when the stop has run."""
        await self.running
        await asyncio.sleep(2 * DELAY)  # an end of the delay that comes too late is no news
        return self.server.journal


def stopped(seconds: float) -> list[str]:
    """Return the journal of a stop that begins after so many seconds."""
    return [f"{seconds:g} {event}" for event in STOPPED]


async def test_sigterm_changes_readiness_and_nothing_else() -> None:
    """The stop begins after the delay."""
    scene = Scene()
    assert not scene.lifespan.is_leaving
    scene.stop.receive(signal.SIGTERM)
    assert scene.lifespan.is_leaving
    await asyncio.sleep(DELAY - 0.01)
    assert scene.server.journal == []
    assert not scene.stop.has_begun
    assert await scene.journal() == stopped(DELAY)


async def test_requests_have_their_limit_after_the_delay() -> None:
    """Those that begin within it, too."""
    scene = Scene()
    scene.stop.receive(signal.SIGTERM)
    await asyncio.sleep(1)
    scene.server.request("obeys the disconnect")
    assert await scene.journal() == [*stopped(DELAY), "14 disconnected", "14 request ended"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
async def test_other_os_signals_begin_the_stop_at_once(number: int) -> None:
    """A person at the terminal does not wait for a proxy."""
    scene = Scene()
    scene.stop.receive(number)
    assert await scene.journal() == stopped(0)


@pytest.mark.parametrize(
    ("number", "after"),
    [
        (signal.SIGTERM, 0.5),
        (signal.SIGTERM, 3.0),
        (signal.SIGINT, 0.0),
        (signal.SIGINT, 3.0),
        (signal.SIGQUIT, 0.25),
    ],
)
async def test_a_second_os_signal_ends_the_delay(number: int, after: float) -> None:
    """Nobody sends it who wants to wait."""
    scene = Scene()
    scene.stop.receive(signal.SIGTERM)
    await asyncio.sleep(after)
    scene.stop.receive(number)
    assert await scene.journal() == stopped(after)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.49])
async def test_an_early_second_sigterm_is_the_same_stop(after: float) -> None:
    """A service manager sends it to all processes, and a parent process once more to its own."""
    scene = Scene()
    scene.stop.receive(signal.SIGTERM)
    await asyncio.sleep(after)
    scene.stop.receive(signal.SIGTERM)
    assert await scene.journal() == stopped(DELAY)


async def test_a_sigint_after_the_one_that_ended_the_delay_gives_requests_up() -> None:
    """As it does without a delay."""
    scene = Scene()
    scene.server.request("obeys the disconnect")
    scene.stop.receive(signal.SIGTERM)
    for _ in range(2):
        await asyncio.sleep(1)
        scene.stop.receive(signal.SIGINT)
    assert await scene.journal() == [*stopped(1), "2 disconnected", "2 request ended"]


@pytest.mark.parametrize("after", [0.0, 3.0])
async def test_a_server_that_stops_by_itself_does_not_delay(after: float) -> None:
    """It has a limit of requests, or its parent process has ended, before the delay or in it."""
    scene = Scene()
    if after:
        scene.stop.receive(signal.SIGTERM)
        await asyncio.sleep(after)
    scene.stop.request()
    assert await scene.journal() == stopped(after)


@pytest.mark.parametrize("phase", ["starting", "failed", "stopping", "stopped"])
async def test_there_is_no_delay_where_the_lifespan_does_not_run(phase: str) -> None:
    """A worker that was never ready has no clients."""
    scene = Scene(phase=phase)
    scene.stop.receive(signal.SIGTERM)
    assert await scene.journal() == stopped(0)
    assert not scene.lifespan.is_leaving


async def test_a_startup_is_interrupted_at_once() -> None:
    """Also that of an application in front, in which the lifespan of the project runs already."""
    scene = Scene()
    scene.server.starting = True
    scene.stop.receive(signal.SIGTERM)
    assert await scene.journal() == ["0 startup interrupted", *stopped(0)]


async def test_an_adapter_may_have_no_delay() -> None:
    """While developing, for example."""
    scene = Scene(delays=False)
    scene.stop.receive(signal.SIGTERM)
    assert await scene.journal() == stopped(0)


async def test_a_parent_process_that_kills_does_not_wait_for_the_delay() -> None:
    """Requests and the shutdown share the rest, also where a second OS signal ends the delay."""
    scene = Scene(deadlines=Deadlines.before_kill(60))
    scene.server.request("obeys the disconnect")
    scene.stop.receive(signal.SIGTERM)
    await asyncio.sleep(2)
    scene.stop.receive(signal.SIGTERM)
    assert await scene.journal() == [*stopped(2), "34 disconnected", "34 request ended"]
    assert scene.stop.deadlines.end_by == 59


@pytest.mark.parametrize(
    ("kill", "share", "needed"),
    [
        (
            30.0,
            0.6,
            "= 40 s, but its parent process kills it after 30 s (--graceful-timeout). Set --",
        ),
        (
            30.0,
            0.6,
            "Set --graceful-timeout to 55 or more, or lower the two settings.",
        ),
        (54.9, 0.6, "to 55 or more"),
        (3.0, 0.6, "5 s (DRAIN_DELAY) + 0 s (requests in flight) + 20 s (SHUTDOWN_TIMEOUT) = 25 s"),
        (60.0, 1.0, "to inf or more"),
    ],
)
async def test_a_stop_that_cannot_fit_is_an_error(kill: float, share: float, needed: str) -> None:
    """It shows the sum."""
    stop = Stop(
        FakeServer(), Deadlines.before_kill(kill, share=share), option=OPTION, logger=logger
    )
    with pytest.raises(ImproperlyConfigured) as error:
        stop.lifespan = FakeLifespan(FakeServer(), drain_delay=DELAY)
    assert needed in str(error.value)


@pytest.mark.parametrize(("kill", "timeout"), [(55.0, 20), (30.0, 10), (5.0, None), (math.inf, 20)])
async def test_a_stop_that_fits_is_none(settings: Any, kill: float, timeout: float | None) -> None:
    """To the last second."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": timeout}
    Scene(deadlines=Deadlines.before_kill(kill)).running.cancel()


def test_an_os_signal_after_the_end_of_the_event_loop_is_ignored() -> None:
    """The process ends."""

    async def make() -> Stop:
        stop = stop_of(FakeServer())
        stop.lifespan = FakeLifespan(FakeServer(), phase="running", drain_delay=DELAY)
        return stop

    loop = asyncio.new_event_loop()
    stop = loop.run_until_complete(make())
    loop.close()
    stop.receive(signal.SIGTERM)
    assert not stop.has_begun


async def test_the_worker_is_not_ready_and_serves(settings: Any) -> None:
    """Of the probes, only ``/readyz`` says so."""
    settings.ASGI_LIFESPAN = {"PROBES": "/", "DRAIN_DELAY": DELAY}
    resource(_client, name="client")
    application = LifespanASGIHandler()
    async with LifespanDriver(application):
        [lifespan] = lifespans.anywhere
        assert lifespan.drain_delay == DELAY
        stop = stop_of(FakeServer())
        stop.lifespan = lifespan
        stop.receive(signal.SIGTERM)
        assert (await ask(application, "/readyz"))[:2] == (503, "readyz: the worker stops\n")
        assert (await ask(application, "/livez"))[0] == 200
        assert (await ask(application, "/startupz"))[0] == 200
        assert (await ask(application, "/other"))[0] == 404
        assert not lifespan.stopping.is_set()


async def _client() -> AsyncIterator[str]:
    yield "client"


async def test_without_a_server_nothing_is_said(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A command needs no adapter."""
    caplog.set_level(logging.INFO)
    settings.ASGI_LIFESPAN = {"DRAIN_DELAY": DELAY}
    async with run_lifespan():
        pass
    assert "DRAIN_DELAY" not in caplog.text
