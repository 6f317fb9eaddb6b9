"""The resources that each worker of the shop opens before its first request."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import aiosqlite
import anyio
import httpx
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from django.conf import settings

from django_asgi_lifespan import resource


class Order(NamedTuple):
    article: str
    quantity: int

    def __str__(self) -> str:
        return f"{self.quantity} {self.article}"


@resource
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    """The worker's connections to the supplier."""
    async with httpx.AsyncClient(base_url=settings.SUPPLIER_URL) as client:
        yield client


@resource
async def database() -> AsyncIterator[aiosqlite.Connection]:
    """A database connection that stays open in the event loop that serves requests."""
    async with aiosqlite.connect(settings.SHOP_DATABASE) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS orders (article, quantity)")
        yield connection


@resource(requires=[http_client], startup_timeout=10)
async def catalogue() -> AsyncIterator[dict[str, int]]:
    """The price of each article, in cents, as the supplier has it today."""
    response = await http_client.get().get("/catalogue")
    response.raise_for_status()
    yield response.json()


@resource(requires=[database])
async def consumer() -> AsyncIterator[MemoryObjectSendStream[Order]]:
    """Where to send orders. A background task writes them into the database.

    Closing the sender lets the task finish its orders, and the task group waits for it. The
    database is still open then, because the consumer requires it.
    """
    sender, receiver = anyio.create_memory_object_stream[Order](max_buffer_size=100)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write_orders, receiver)
        async with sender:
            yield sender


async def write_orders(orders: MemoryObjectReceiveStream[Order]) -> None:
    async with orders:
        async for order in orders:
            await database.get().execute("INSERT INTO orders VALUES (?, ?)", order)
            await database.get().commit()
