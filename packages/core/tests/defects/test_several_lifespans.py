"""d15: lifespans that overlap leave each other alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from defects.helpers import STOPPED, Journal, Server
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager


async def test_d15_overlapping_lifespans_close_their_own_managers(journal: Journal) -> None:
    """No matter which stops first."""
    numbers = iter(range(1, 3))

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        number = next(numbers)
        yield {"number": number}
        journal.append(f"{number} closes")

    register_lifespan_manager(context_manager=factory)
    handler = LifespanASGIHandler()
    first, second = Server(handler), Server(handler)
    await first.start()
    await second.start()
    assert [server.scope["state"]["number"] for server in (first, second)] == [1, 2]
    assert await first.stop() == STOPPED
    assert journal == ["1 closes"]
    assert await second.stop() == STOPPED
    assert journal == ["1 closes", "2 closes"]
