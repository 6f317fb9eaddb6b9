"""One aiohttp session for all requests of a worker, made in the event loop that serves them."""

from collections.abc import AsyncIterator

import aiohttp

from django_asgi_lifespan import resource


@resource
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session
