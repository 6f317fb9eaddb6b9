"""One connection to an SQLite file of its own, beside Django's databases."""

from collections.abc import AsyncIterator

import aiosqlite
from django.conf import settings

from django_asgi_lifespan import resource


@resource
async def visits() -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(settings.VISITS_PATH) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS visit (path TEXT NOT NULL)")
        await connection.commit()
        yield connection
