import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
from django.conf import settings

from django_asgi_lifespan import resource


@resource
def prices() -> Iterator[dict[str, str]]:
    yield json.loads(Path(settings.PRICES).read_text())


@resource
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=settings.FLOUR_URL) as client:
        yield client
