"""The example of a pool of PostgreSQL connections."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg_pool
import pytest
from django.http import HttpRequest, HttpResponse

from django_asgi_lifespan import StartupFailedError
from docs.examples.conftest import Example, Serve


@pytest.mark.process
@pytest.mark.real_clock
async def test_all_requests_share_one_pool(
    example: Example, serve: Serve, settings: Any, postgresql_url: str
) -> None:
    """Its connections are open before the first request, and closed with the lifespan."""
    settings.POSTGRESQL_URL = postgresql_url
    recipe = example("psycopg_connection_pool")

    async def view(request: HttpRequest) -> HttpResponse:
        async with recipe.pool.get().connection() as connection:
            cursor = await connection.execute("SELECT 6 * 7")
            [answer] = await cursor.fetchone()
            return HttpResponse(str(answer))

    async with serve(view) as browser:
        pool = recipe.pool.get()
        assert pool.get_stats()["pool_size"] == 2
        answers = await asyncio.gather(*[browser.get("/") for _ in range(20)])
        assert {answer.text for answer in answers} == {"42"}
        assert pool.get_stats()["requests_num"] == 20
        assert not pool.closed
    assert pool.closed
    with pytest.raises(psycopg_pool.PoolClosed):
        await pool.getconn()


@pytest.mark.real_clock
async def test_a_wrong_address_fails_the_startup(
    example: Example,
    serve: Serve,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the name of the resource, when the pool has waited for its first connections."""
    settings.POSTGRESQL_URL = f"postgresql:///postgres?host={tmp_path}"
    recipe = example("psycopg_connection_pool")

    class Impatient(recipe.AsyncConnectionPool):
        async def wait(self, timeout: float) -> None:
            await super().wait(timeout / 100)

    monkeypatch.setattr(recipe, "AsyncConnectionPool", Impatient)
    with pytest.raises(StartupFailedError, match=r"^pool failed to start: PoolTimeout: "):
        async with serve(lambda _: HttpResponse()):
            pass
