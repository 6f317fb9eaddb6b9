"""The example of a Redis client."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import redis
from django.http import HttpRequest, HttpResponse

from django_asgi_lifespan import StartupFailedError
from docs.examples.conftest import LIMIT, Example, Serve


@pytest.mark.process
@pytest.mark.real_clock
async def test_all_requests_share_one_client(
    example: Example, serve: Serve, settings: Any, redis_url: str
) -> None:
    """The server sees its connection while the lifespan runs, and none afterwards."""
    settings.REDIS_URL = redis_url
    recipe = example("redis_client")

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(await recipe.redis.get().incr("visits")))

    with redis.Redis.from_url(redis_url) as witness:
        async with serve(view) as browser:
            assert [(await browser.get("/")).text for _ in range(3)] == ["1", "2", "3"]
            assert len(witness.client_list()) == 2
        deadline = time.monotonic() + LIMIT
        while len(witness.client_list()) > 1:  # it may answer before it sees the end of another
            assert time.monotonic() < deadline, witness.client_list()


@pytest.mark.real_clock
async def test_a_wrong_address_fails_the_startup(
    example: Example, serve: Serve, settings: Any, tmp_path: Path
) -> None:
    """With the name of the resource and what redis-py says."""
    settings.REDIS_URL = f"unix://{tmp_path}/nothing"
    example("redis_client")
    with pytest.raises(StartupFailedError, match=r"^redis failed to start: ConnectionError: "):
        async with serve(lambda _: HttpResponse()):
            pass
