"""Scopes other than the lifespan go to Django as they came."""

from __future__ import annotations

from typing import Any

import pytest

from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler


async def test_http_goes_to_djangos_handler_with_the_same_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scope, receive and send are handed on as they came."""
    calls: list[tuple[Any, ...]] = []

    async def django(self: Any, *arguments: Any) -> None:
        calls.append(arguments)

    monkeypatch.setattr("django.core.handlers.asgi.ASGIHandler.__call__", django)
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler) as state:
        arguments = ({"type": "http", "state": state.copy()}, object(), object())
        for _ in range(2):
            await handler(*arguments)
    assert [tuple(map(id, call)) for call in calls] == [tuple(map(id, arguments))] * 2


async def test_other_scope_types_get_djangos_own_error() -> None:
    """Of any type. Only a WebSocket is closed instead."""
    with pytest.raises(ValueError, match="Django can only handle ASGI/HTTP connections"):
        await LifespanASGIHandler()({"type": "unknown"}, None, None)  # type: ignore[arg-type]
