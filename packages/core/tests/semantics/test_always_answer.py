"""A project that registers nothing gets an immediate and silent complete."""

from __future__ import annotations

import logging

import pytest

from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import lifespan_messages


async def test_a_project_that_registers_nothing_gets_an_immediate_complete() -> None:
    """The answers are the plain complete messages, and nothing else is sent."""
    assert await lifespan_messages(LifespanASGIHandler()) == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


async def test_a_project_that_registers_nothing_gets_a_silent_complete(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not a line is logged at INFO or above."""
    caplog.set_level(logging.INFO)
    await lifespan_messages(LifespanASGIHandler())
    assert not caplog.records
