"""The example of a connection to an SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

from docs.examples.conftest import Example, Serve


@pytest.mark.real_clock
async def test_all_requests_share_one_connection(
    example: Example, serve: Serve, settings: Any, tmp_path: Path
) -> None:
    """It is closed with the lifespan, and the next lifespan finds what was committed."""
    settings.VISITS_PATH = tmp_path / "visits.sqlite3"
    recipe = example("aiosqlite_connection")

    async def view(request: HttpRequest) -> HttpResponse:
        connection = recipe.visits.get()
        await connection.execute("INSERT INTO visit (path) VALUES (?)", [request.path])
        await connection.commit()
        async with connection.execute("SELECT count(*) FROM visit") as cursor:
            [count] = await cursor.fetchone()
        return HttpResponse(str(count))

    for expected in (["1", "2"], ["3", "4"]):
        async with serve(view) as browser:
            assert [(await browser.get("/")).text for _ in range(2)] == expected
            connection = recipe.visits.get()
        with pytest.raises(ValueError, match=r"closed|no active connection"):
            await connection.execute("SELECT 1")
