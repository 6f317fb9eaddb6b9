"""d11 to d14: failures are reported and answered, and a cancellation closes everything."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from defects.helpers import Journal, Server, ask, failing_manager, manager
from defects.project import PROJECT
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_startup


async def test_d11_no_exception_of_a_task_is_left_unretrieved() -> None:
    """Not when a startup receiver raises, and the scope has no state into the bargain."""
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))

    async def receiver(**_: Any) -> None:
        raise ValueError("no luck")

    failing_manager(ValueError("no luck either"))
    asgi_startup.connect(receiver, weak=False)
    answer = await Server(LifespanASGIHandler(), state=False).start()
    assert answer["type"] == "lifespan.startup.failed"
    await asyncio.sleep(1)
    gc.collect()
    assert not contexts


@pytest.mark.parametrize(
    ("exception", "text"),
    [
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (TimeoutError(), "TimeoutError"),
        (KeyError("DATABASE_URL"), "KeyError: 'DATABASE_URL'"),
    ],
)
async def test_d12_the_failure_message_has_the_type_of_the_exception(
    exception: Exception, text: str
) -> None:
    """The text alone can be empty, or too little."""
    failing_manager(exception)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    assert text in answer["message"]


async def test_d12_the_failure_message_has_every_exception_of_a_group() -> None:
    """The text of the group is only how many they are."""

    async def child(exception: Exception) -> None:
        raise exception

    @contextlib.asynccontextmanager
    async def factory() -> AsyncIterator[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            group.start_soon(child, ValueError("no luck"))
            group.start_soon(child, ConnectionRefusedError())
        yield {}

    register_lifespan_manager(context_manager=factory)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    assert "ValueError: no luck" in answer["message"]
    assert "ConnectionRefusedError" in answer["message"]


class Abort(BaseException):
    """As SystemExit, but no event loop knows it."""


def base_exceptions() -> Iterator[BaseException]:
    """Yield BaseExceptions that are no Exception, as far as this Python has them."""
    yield asyncio.CancelledError()
    yield Abort("no luck")
    if sys.version_info >= (3, 11):
        group = vars(builtins)["BaseExceptionGroup"]
        yield group("several", [Abort("no luck")])


@pytest.mark.parametrize("exception", list(base_exceptions()), ids=repr)
async def test_d13_whatever_a_manager_raises_fails_the_startup(
    exception: BaseException, settings: Any
) -> None:
    """The server is told, and requests are not served without the resources."""
    settings.ROOT_URLCONF = PROJECT
    failing_manager(exception)
    handler = LifespanASGIHandler()
    answer = await Server(handler).start()
    assert answer.get("type") == "lifespan.startup.failed"
    assert (await ask(handler, "/sync/", state={}))[0] == 503


async def test_d14_a_cancelled_lifespan_closes_everything(journal: Journal) -> None:
    """A forced exit of uvicorn cancels it."""
    manager(journal, "a")
    manager(journal, "b", closing=1)
    server = Server(LifespanASGIHandler())
    await server.start()
    server.task.cancel()
    await asyncio.wait({server.task})
    assert server.task.cancelled()
    assert sorted(journal) == ["a closes", "a opens", "b closes", "b opens"]
