"""Resources that were registered and never started are reported in the log."""

from __future__ import annotations

import logging

import pytest

from django_asgi_lifespan.handler import LifespanASGIHandler
from semantics.helpers import Journal, declare, request


async def test_requests_without_any_lifespan_log_one_error_that_says_why(
    caplog: pytest.LogCaptureFixture, journal: Journal
) -> None:
    """It names the unopened resources and the remedy. The requests are served."""
    declare(journal, "http_client")
    handler = LifespanASGIHandler()
    for _ in range(3):
        [start, *_] = await request(handler)
        assert start["status"] == 200
    [record] = [each for each in caplog.records if each.name == "django_asgi_lifespan"]
    assert record.levelno == logging.ERROR
    assert "the server has not started the lifespan" in record.getMessage()
    assert "http_client" in record.getMessage()
    assert "--lifespan on" in record.getMessage()


async def test_requests_without_a_lifespan_are_silent_when_nothing_is_registered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is nothing to complain about."""
    [start, *_] = await request(LifespanASGIHandler())
    assert start["status"] == 200
    assert not [each for each in caplog.records if each.name == "django_asgi_lifespan"]
