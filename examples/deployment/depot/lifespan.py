from collections.abc import AsyncIterator

from django_asgi_lifespan import resource


@resource
async def stock() -> AsyncIterator[dict[str, int]]:
    yield {"apples": 3}
