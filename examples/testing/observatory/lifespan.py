from collections.abc import AsyncIterator

import httpx

from django_asgi_lifespan import resource


@resource
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url="https://weather.invalid") as client:
        yield client
