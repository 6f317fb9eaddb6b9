"""d08 to d10: the order of the shutdown is the reverse of the startup's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from defects.helpers import STARTED, STOPPED, Journal, Server, manager
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_shutdown


async def test_d08_shutdown_receivers_end_before_managers_begin_to_close(
    journal: Journal,
) -> None:
    """A receiver that takes its time still has everything."""
    manager(journal, "a")

    async def receiver(**_: Any) -> None:
        await asyncio.sleep(1)
        journal.append("receiver")

    asgi_shutdown.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    await server.start()
    assert await server.stop() == STOPPED
    assert journal == ["a opens", "receiver", "a closes"]


async def test_d09_a_failing_shutdown_receiver_does_not_cut_the_cleanup_short(
    journal: Journal,
) -> None:
    """Servers end the loop after the answer: by then, every manager has closed."""
    manager(journal, "a", closing=1)
    manager(journal, "b", closing=2)

    async def receiver(**_: Any) -> None:
        raise ValueError("no luck")

    asgi_shutdown.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    await server.start()
    answer = await server.stop()
    assert sorted(journal) == ["a closes", "a opens", "b closes", "b opens"]
    assert answer["type"] == "lifespan.shutdown.failed"


async def test_d10_the_order_of_the_shutdown_does_not_follow_the_speed_of_the_startup(
    journal: Journal,
) -> None:
    """The last to be registered closes first, even if it did not open last."""
    delays = {"a": 1.0, "b": 2.0}
    for name in "ab":

        @contextlib.asynccontextmanager
        async def factory(name: str = name) -> AsyncIterator[dict[str, Any]]:
            await asyncio.sleep(delays[name])
            yield {}
            journal.append(name)

        register_lifespan_manager(context_manager=factory)
    handler = LifespanASGIHandler()
    for delays["a"] in (1.0, 3.0):
        journal.clear()
        server = Server(handler)
        assert await server.start() == STARTED
        assert await server.stop() == STOPPED
        assert journal == ["b", "a"]
