"""d27: the work grows with the number of managers, not with its square."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from defects.helpers import STARTED, STOPPED, Server
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_lifespan


class Key(str):
    """A string whose use as a key counts as a call of a Python function."""

    __slots__ = ()

    def __hash__(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


def _live(count: int) -> None:
    """Register *count* managers, each with a key of its own, start them and stop them."""

    @contextlib.asynccontextmanager
    async def factory(number: int) -> AsyncIterator[dict[str, Any]]:
        yield {Key(number): number}

    async def live() -> None:
        server = Server(LifespanASGIHandler())
        assert await server.start() == STARTED
        assert len(server.scope["state"]) == count
        assert await server.stop() == STOPPED

    for number in range(count):
        register_lifespan_manager(context_manager=functools.partial(factory, number))
    asyncio.run(live(), debug=False)  # in debug mode the loop itself does most of the work


def _work(count: int) -> int:
    """Return how many functions were called, and generators resumed, in the life of *count*."""
    calls = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        _live(count)
    finally:
        sys.setprofile(before)
    return calls


def test_d27_the_work_grows_with_the_number_of_managers_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten times as many take about ten times as many calls. A square would take a hundred times.

    Calls are counted, not seconds, so the count is the same however busy the machine is. Twenty
    leaves room for anything short of a square, a factor of the logarithm included.
    """
    caplog.set_level(logging.CRITICAL)
    counts = []
    for count in (1, 200, 2000):  # the first does the work that is done once in a process
        _forget_managers(monkeypatch)
        counts.append(_work(count))
    _, few, many = counts
    assert few > 0
    assert many / few < 20


def _forget_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start anew with registering."""
    monkeypatch.setattr(asgi_lifespan, "receivers", [])
    with contextlib.suppress(ImportError):
        from django_asgi_lifespan.resources import registry

        monkeypatch.setattr(registry, "_declared", {})
