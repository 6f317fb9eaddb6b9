"""A lifespan around a test. Its synchronous code runs in the thread and transaction of the test."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import SyncToAsync, async_to_sync
from django.core.signals import request_started

from django_asgi_lifespan.declaration import Resource
from django_asgi_lifespan.errors import StartupFailedError
from django_asgi_lifespan.lifespan_thread import LifespanThread, RunningLifespan

from .caller_thread import CallerThread
from .tasks import run_sync_code_in
from .transaction import keep_transaction

__all__ = ("LifespanUnderTest", "run_lifespan_around_test")

T = TypeVar("T")

_BENEATH = ("asgiref.", "asyncio.", "concurrent.", "contextlib", "django_asgi_lifespan.")

if TYPE_CHECKING:
    from .leftovers import Leftovers

    _Loop = asyncio.SelectorEventLoop
else:
    _Loop = getattr(asyncio, "ProactorEventLoop", asyncio.SelectorEventLoop)

__unittest = True  # unittest leaves our frames out of the tracebacks of tests


class LifespanUnderTest(RunningLifespan):
    """The lifespan of a test.

    Attributes:
        state: the state of the lifespan.
        loop: its event loop, in which requests to asynchronous views and asynchronous tests run.
    """

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        lead_to(self.loop)

        async def run() -> T:
            return await coroutine

        return async_to_sync(run)()


class LoopUnderTest(_Loop):
    """An event loop that knows whether the thread of the test waits for it."""

    def __init__(self, caller: CallerThread) -> None:
        super().__init__()
        self.caller = caller

    def call_soon_threadsafe(  # type: ignore[override]  # whose arguments have variadic types
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        self.caller.enter()
        return super().call_soon_threadsafe(callback, *args, context=context)


class ThreadUnderTest(LifespanThread):
    """The thread of the event loop. It does without threads for synchronous code."""

    running_class = LifespanUnderTest

    def __init__(self, *, only: Iterable[object] | None, leftovers: Leftovers | None) -> None:
        super().__init__(only=only)
        self.caller = CallerThread()
        self._leftovers = leftovers

    def _wait_for(self, future: Future[T]) -> T:
        return self.caller.wait_for(future)

    def _run(self) -> None:
        loop = LoopUnderTest(self.caller)
        with run_sync_code_in(self.caller, loop):
            run_in(loop, self._live(), self._leftovers)


def run_in(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, None],
    leftovers: Leftovers | None,
) -> None:
    """Run *coroutine* in *loop* as ``asyncio.run()`` does, which takes no loop in Python 3.10."""

    async def end() -> None:
        left = other_tasks()
        if leftovers is not None:
            await leftovers.note_tasks(left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()

    try:
        loop.run_until_complete(coroutine)
        loop.run_until_complete(end())
    finally:
        loop.close()


def other_tasks() -> set[asyncio.Task[Any]]:
    """Return the tasks of the running event loop besides the current one."""
    return {each for each in asyncio.all_tasks() if each is not asyncio.current_task()}


@contextlib.contextmanager
def run_lifespan_around_test(
    *,
    overrides: Mapping[Resource[Any], object] | None = None,
    only: Iterable[Resource[Any] | str] | None = None,
    strict: bool = False,
) -> Generator[LifespanUnderTest]:
    """Run the lifespan in a thread, and let asynchronous code that this thread calls run there.

    Args:
        overrides: the values that stand in for resources. A generator function is opened in place
            of the resource.
        only: the resources that start, as in ``run_lifespan()``.
        strict: fail where a task, a thread, an open connection or a lifespan is left at the end.

    Raises:
        StartupFailedError: something failed to start. The failure of the resource is its cause.
        ShutdownFailedError: something failed to stop.
        AssertionError: something is left.
    """
    __tracebackhide__ = True  # pytest leaves our frames out, too
    with ExitStack() as stack:
        local = SyncToAsync.threadlocal
        stack.enter_context(keep_transaction())
        stack.callback(setattr, local, "main_event_loop", getattr(local, "main_event_loop", None))
        for resource, value in (overrides or {}).items():
            stack.enter_context(stand_in(resource, value))
        leftovers = watch_leftovers(stack) if strict else None
        thread = ThreadUnderTest(only=only, leftovers=leftovers)
        try:
            running = cast("LifespanUnderTest", stack.enter_context(thread))
        except StartupFailedError as failure:
            raise failure.with_traceback(None) from shortened(failure.__cause__)
        lead_to(running.loop)
        test = threading.current_thread()

        def enter(**arguments: object) -> None:
            """Let the asynchronous code of a request run in the event loop."""
            if asyncio._get_running_loop() is None:
                if threading.current_thread() is test or not _leads_anywhere():
                    lead_to(running.loop)
                thread.caller.run_calls()

        request_started.connect(enter)
        stack.callback(request_started.disconnect, enter)
        yield running


def watch_leftovers(stack: ExitStack) -> Leftovers:
    """Let *stack* fail where something is left when it closes."""
    from .leftovers import Leftovers

    leftovers = Leftovers()
    stack.enter_context(leftovers)
    return leftovers


def stand_in(resource: Resource[Any], value: Any) -> contextlib.AbstractContextManager[None]:
    """Return a context manager in which *value*, or a generator function, replaces *resource*."""
    function = inspect.unwrap(value) if callable(value) else value
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return resource.override(factory=value)
    return resource.override(value)


def shortened(error: BaseException | None) -> BaseException | None:
    """Let the traceback of *error* begin at the code of the project."""
    if error is None:
        return None
    traceback = error.__traceback__
    while traceback and traceback.tb_frame.f_globals.get("__name__", "").startswith(_BENEATH):
        traceback = traceback.tb_next
    return error.with_traceback(traceback)


def lead_to(loop: asyncio.AbstractEventLoop) -> None:
    """Let ``async_to_sync()`` in this thread run its coroutines in *loop*, as asgiref has it."""
    SyncToAsync.threadlocal.main_event_loop = loop
    SyncToAsync.threadlocal.main_event_loop_pid = os.getpid()


def _leads_anywhere() -> bool:
    loop: asyncio.AbstractEventLoop | None
    loop = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    return loop is not None and not loop.is_closed()
