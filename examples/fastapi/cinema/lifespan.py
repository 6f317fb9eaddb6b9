from collections.abc import AsyncIterator

from django_asgi_lifespan import resource


@resource
async def films() -> AsyncIterator[list[str]]:
    yield ["Metropolis"]
