"""Work that goes on after the response was sent: views put jobs into a stream, workers take them.

At shutdown the stream is closed, the workers finish what is in it, and then the task group ends.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from django_asgi_lifespan import resource

Job = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


@resource(shutdown_timeout=15)
async def jobs() -> AsyncIterator[MemoryObjectSendStream[Job]]:
    send, receive = anyio.create_memory_object_stream[Job](max_buffer_size=100)
    async with anyio.create_task_group() as workers, send:
        for _ in range(2):
            workers.start_soon(work, receive.clone())
        receive.close()
        yield send


async def work(receive: MemoryObjectReceiveStream[Job]) -> None:
    async with receive:
        async for job in receive:
            try:
                await job()
            except Exception:
                logger.exception("A job failed")
