"""A pool of PostgreSQL connections for async code, beside those of Django's ORM."""

from collections.abc import AsyncIterator

from django.conf import settings
from psycopg_pool import AsyncConnectionPool

from django_asgi_lifespan import resource


@resource(shutdown_timeout=15)
async def pool() -> AsyncIterator[AsyncConnectionPool]:
    connections: AsyncConnectionPool = AsyncConnectionPool(
        settings.POSTGRESQL_URL, min_size=2, max_size=10, open=False
    )
    async with connections:
        await connections.wait(timeout=10)  # a wrong address fails the startup
        yield connections
