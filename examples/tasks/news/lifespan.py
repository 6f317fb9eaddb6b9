from collections.abc import AsyncIterator

import httpx
from django.conf import settings

from django_asgi_lifespan import resource


@resource
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=settings.NEWS_URL) as client:
        yield client
