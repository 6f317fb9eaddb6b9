"""One Redis client, and so one pool of connections, for all requests of a worker."""

from collections.abc import AsyncIterator

from django.conf import settings
from redis.asyncio import Redis

from django_asgi_lifespan import resource


@resource(startup_timeout=10)
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        await client.ping()  # a wrong address fails the startup, not the first request
        yield client
