"""The tasks of a lifespan under test, whose synchronous code runs in one thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Generator
from concurrent.futures import Executor
from typing import Any, cast

from asgiref.sync import AsyncToSync, SyncToAsync

from django_asgi_lifespan.own_thread import SyncContext, thread_sensitive_context

__all__ = ("run_sync_code_in",)


@contextlib.contextmanager
def run_sync_code_in(executor: Executor, loop: asyncio.AbstractEventLoop) -> Generator[SyncContext]:
    """Let *executor* run the synchronous code of the tasks of *loop*.

    Django's ASGI handler begins a thread-sensitive context of its own, with a thread of its own,
    where there is none. The communicators of Channels call it in a task with an empty context.
    Such a task gets the context that this function yields.
    """
    context = SyncContext()
    SyncToAsync.context_to_thread_executor[cast("Any", context)] = cast("Any", executor)
    factory: Any = loop.get_task_factory() or _make_task

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        given: contextvars.Context | None = options.get("context")
        if given is not None:
            given.run(_fill, context)
        else:
            _fill(context)
        task: asyncio.Task[Any] = factory(loop, coroutine, **options)
        return task

    previous = loop.get_task_factory()
    loop.set_task_factory(cast("Any", make))
    AsyncToSync.loop_thread_executors[loop] = cast("Any", executor)
    try:
        yield context
    finally:
        del AsyncToSync.loop_thread_executors[loop]
        loop.set_task_factory(previous)


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
    return asyncio.Task(coroutine, loop=loop, **options)


def _fill(context: SyncContext) -> None:
    if not contextvars.copy_context():
        thread_sensitive_context.set(context)
