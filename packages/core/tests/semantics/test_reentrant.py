"""An application lives through several lifespans, one by one or at once, and through forks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator

import pytest

from django_asgi_lifespan import asgi_shutdown, get_state, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare, request
from virtual_clock import VirtualClockLoop, run


def test_one_application_lives_through_several_lifespans_in_several_loops(
    journal: Journal,
) -> None:
    """Each opens and closes everything."""
    a = declare(journal, "a")
    handler = LifespanASGIHandler()

    async def live() -> None:
        async with LifespanDriver(handler):
            assert a.get() == "value of a"
            [start, *_] = await request(handler)
            assert start["status"] == 200

    for _ in range(3):
        run(live())
    assert journal == ["a opens", "a closes"] * 3


@pytest.mark.real_clock
async def test_two_overlapping_lifespans_of_one_loop_are_independent() -> None:
    """Asked from outside, the newest answers. Ending it leaves the older one alone."""
    numbers = iter((1, 2))

    @resource
    async def number() -> AsyncIterator[int]:
        yield next(numbers)

    seen = []
    asgi_shutdown.connect(lambda **_: seen.append(number.get()))
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler) as first:
        async with LifespanDriver(handler) as second:
            assert (first["number"], second["number"]) == (1, 2)
            assert number.get() == 2
            assert get_state()["number"] == 2
        assert number.get() == 1
        assert get_state()["number"] == 1
    assert seen == [2, 1]


def test_nothing_bound_to_a_loop_is_made_before_the_lifespan(journal: Journal) -> None:
    """The application made in one process or thread can start in another loop."""
    declare(journal, "a")
    handler = LifespanASGIHandler()
    driver_loop = VirtualClockLoop()
    other_loop = VirtualClockLoop()
    other_loop.close()
    driver = LifespanDriver(handler)
    driver_loop.run_until_complete(driver.startup())
    driver_loop.run_until_complete(driver.shutdown())
    driver_loop.close()
    assert journal == ["a opens", "a closes"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_an_application_made_before_a_fork_lives_in_each_child() -> None:
    """As under a server that loads the application once and forks its workers."""
    program = """
        import asyncio, os, sys
        from django.conf import settings
        settings.configure()
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import get_asgi_application
        from django_asgi_lifespan.driver import LifespanDriver

        @resource
        async def pid():
            yield os.getpid()

        application = get_asgi_application()

        async def live():
            async with LifespanDriver(application):
                await asyncio.sleep(0)
                return pid.get() == os.getpid()

        children = []
        for _ in range(2):
            child = os.fork()
            if not child:
                os._exit(0 if asyncio.run(live()) else 1)
            children.append(child)
        sys.exit(any(os.waitpid(child, 0)[1] for child in children))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
