"""A thread for the synchronous code of one resource or receiver, which begins when it is needed.

asgiref runs the code of ``sync_to_async()`` in the executor that belongs to the current
thread-sensitive context, and finds that executor in a table, ``context_to_thread_executor``. A
context of ours has an entry there, as a ``ThreadSensitiveContext`` makes one for itself. That
public class cannot serve: inside another one it does nothing, its exit blocks the event loop until
the thread is idle, it takes an executor only since asgiref 3.13, and to enter one in the task of
each resource costs a tenth of the start. Here all resources share one context. The table and the
context variable are the same in asgiref 3.6 to 3.13, and ``tests/seams.py`` lists them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, cast

from asgiref.sync import AsyncToSync, SyncToAsync

from .daemon_thread import DaemonThread
from .database import close_connections, close_old_connections
from .lifespans import current_view

__all__ = (
    "OwnThread",
    "OwnThreads",
    "SyncContext",
    "ThreadOwner",
    "end_thread_here",
    "executor_here",
    "own_thread",
    "resource_context",
    "thread_sensitive_context",
)

T = TypeVar("T")

thread_sensitive_context = cast("Any", SyncToAsync.thread_sensitive_context)


class ThreadOwner:
    """A resource, receiver or call whose synchronous code has a thread.

    Attributes:
        executor: runs code in the thread, or None while nobody needed it.
    """

    __slots__ = ("__dict__",)  # the record of a resource stays small

    executor: DaemonThread | None = None

    def begin_thread(self, name: str) -> DaemonThread:
        """Return the executor, whose thread gets *name* if it begins only now."""
        if self.executor is None:
            self.executor = DaemonThread(name)
        return self.executor

    def end_thread(self) -> Future[None]:
        """Close the connections of the thread, and let it end. Tasks that are left get another."""
        executor, self.executor = self.begin_thread(""), None
        closed = executor.submit(close_connections)
        executor.end()
        return closed


class _Dispatcher(Executor):
    """Hands each call to the thread of the code that makes it, which asgiref submits there."""

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return executor_here("lifespan").submit(function, *args, **kwargs)


_dispatcher = _Dispatcher()


class SyncContext:
    """A thread-sensitive context of asgiref, whose synchronous code has threads of ours."""

    _exited = False  # asgiref 3.13 refuses code where this is true

    def __init__(self) -> None:
        SyncToAsync.context_to_thread_executor[cast("Any", self)] = cast("Any", _dispatcher)


resource_context = SyncContext()
"""That of all resources: in it, the one whose code runs owns the thread."""


class OwnThread(ThreadOwner, SyncContext):
    """The context and the thread of one receiver, block or call."""


@asynccontextmanager
async def own_thread(
    own: OwnThread | None = None, *, at_end: Callable[[], None] = close_connections
) -> AsyncGenerator[None]:
    """Run the synchronous code of this block in a thread of its own, or in that of *own*.

    At the end *at_end* is called there. The thread ends when no task is left that could use it.
    """
    own = OwnThread() if own is None else own
    token = thread_sensitive_context.set(own)
    is_waiting = True
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):  # the thread may hang, or the loop be gone
        is_waiting = False
        raise
    finally:
        with suppress(ValueError):  # the block may end in another context than it began in
            thread_sensitive_context.reset(token)
        if own.executor is not None:
            done = own.executor.submit(at_end)
            if is_waiting:
                await asyncio.wrap_future(done)


class OwnThreads:
    """Lends a thread to one coroutine after the other, or one to each at the same time."""

    def __init__(self) -> None:
        self._idle: list[OwnThread] = []

    async def lend_to(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the result of *coroutine*, whose synchronous code has a thread meanwhile.

        Its database connections are closed before and after as Django does around a request.
        """
        own = self._idle.pop() if self._idle else OwnThread()
        if own.executor is not None:
            own.executor.put(close_old_connections)
        try:
            async with own_thread(own, at_end=close_old_connections):
                result = await coroutine
        except Exception:
            self._idle.append(own)
            raise
        self._idle.append(own)  # after a cancellation it may be busy
        return result

    async def end(self) -> None:
        """Close the connections of all that are idle, and let them end."""
        for own in self._idle:
            if own.executor is not None:
                await asyncio.wrap_future(own.end_thread())


def _outer_executor() -> Executor | None:
    """Return the executor of the thread that waits for this code in ``async_to_sync()``, if any.

    asgiref runs synchronous code there. In Django's test cases it is the thread of the test.
    """
    executor: Executor | None = getattr(AsyncToSync.executors, "current", None)
    return executor or AsyncToSync.loop_thread_executors.get(asyncio.get_running_loop())


def executor_here(name: str) -> Executor:
    """Return the executor of the synchronous code of this context, whose thread may get *name*."""
    owner = _owner_here()
    own = owner.begin_thread if owner is not None else DaemonThread
    return _outer_executor() or own(name)


async def end_thread_here() -> None:
    """End the thread of this code, which does not need it any more."""
    owner = _owner_here()
    if owner is not None and owner.executor is not None:
        await asyncio.wrap_future(owner.end_thread())


def _owner_here() -> ThreadOwner | None:
    context = thread_sensitive_context.get(None)
    owner: object = current_view.get() if context is resource_context else context
    return owner if isinstance(owner, ThreadOwner) else None
