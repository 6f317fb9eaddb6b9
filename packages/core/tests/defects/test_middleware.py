"""d26: the middleware adds no change of threads between two others."""

from __future__ import annotations

from typing import Any

import pytest

from defects.helpers import ask
from defects.project import MIDDLEWARE, PROJECT, SYNC_MIDDLEWARE
from django_asgi_lifespan.asgi import get_asgi_application


@pytest.mark.real_clock
async def test_d26_the_middleware_adds_no_hop_between_sync_ones(
    hops: list[str], settings: Any
) -> None:
    """A request changes threads as often as without it."""
    settings.ROOT_URLCONF = PROJECT
    counts: list[int] = []
    for between in ([], [MIDDLEWARE]):
        settings.MIDDLEWARE = [SYNC_MIDDLEWARE, *between, SYNC_MIDDLEWARE]
        handler = get_asgi_application()
        hops.clear()
        assert (await ask(handler, "/sync/", state={}))[0] == 200
        counts.append(len(hops))
    assert counts[0] > 0
    assert counts[1] == counts[0]
