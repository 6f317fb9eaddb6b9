"""One HTTP client for all requests of a worker, which keeps connections open between them."""

from collections.abc import AsyncIterator

import httpx

from django_asgi_lifespan import resource


@resource
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client
