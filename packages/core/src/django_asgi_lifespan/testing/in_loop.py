"""A lifespan in the event loop in which a plugin of pytest runs an asynchronous test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, cast

from django.db import connections

from django_asgi_lifespan.declaration import Resource
from django_asgi_lifespan.errors import StartupFailedError
from django_asgi_lifespan.own_thread import thread_sensitive_context
from django_asgi_lifespan.running import run_lifespan

from .tasks import run_sync_code_in
from .transaction import keep_transaction
from .under_test import LifespanUnderTest, other_tasks, shortened, stand_in, watch_leftovers

__all__ = ("helper_thread", "run_lifespan_in_loop")


@contextlib.contextmanager
def helper_thread() -> Generator[ThreadPoolExecutor]:
    """Yield an executor of one thread, which has the database connections of this thread.

    So the synchronous code of an asynchronous test is in the transaction that pytest-django begins.
    """
    with ExitStack() as stack:
        shared = stack.enter_context(keep_transaction())

        def share() -> None:
            for connection in shared:
                connections[connection.alias] = connection

        for connection in shared:
            connection.inc_thread_sharing()
            stack.callback(connection.dec_thread_sharing)
        thread = stack.enter_context(ThreadPoolExecutor(1, "lifespan", share))
        thread.submit(list).result()  # so that the thread begins here
        yield thread


@contextlib.asynccontextmanager
async def run_lifespan_in_loop(
    thread: ThreadPoolExecutor,
    *,
    overrides: Mapping[Resource[Any], object] | None = None,
    only: Iterable[Resource[Any] | str] | None = None,
    strict: bool = False,
) -> AsyncGenerator[LifespanUnderTest]:
    """Run the lifespan in the running event loop, and all synchronous code of the loop in *thread*.

    Args:
        overrides, only, strict: as in ``run_lifespan_around_test()``.

    Raises:
        StartupFailedError: something failed to start. The failure of the resource is its cause.
        ShutdownFailedError: something failed to stop.
        AssertionError: something is left.
    """
    __tracebackhide__ = True
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        for resource, value in (overrides or {}).items():
            stack.enter_context(stand_in(resource, value))
        leftovers = watch_leftovers(stack) if strict else None
        before = asyncio.all_tasks()
        context = stack.enter_context(run_sync_code_in(thread, loop))
        thread_sensitive_context.set(context)  # a request to the ASGI handler would begin another
        lifespan = run_lifespan(only=cast("Any", only))
        try:
            state = await lifespan.__aenter__()
        except StartupFailedError as failure:
            raise failure.with_traceback(None) from shortened(failure.__cause__)
        try:
            yield LifespanUnderTest(state, loop)
        finally:
            await lifespan.__aexit__(None, None, None)
            if leftovers is not None:
                await leftovers.note_tasks(other_tasks() - before)
