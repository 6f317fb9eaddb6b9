"""Threads for the synchronous code of requests, kept from one request to the next."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, cast

import asgiref
from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.core.exceptions import ImproperlyConfigured

from .last_resort import log
from .lifespans import Lifespan
from .own_thread import thread_sensitive_context
from .protocol import Application, Receive, Scope, Send
from .request_thread import RequestThread

__all__ = ("RequestThreads",)

logger = logging.getLogger("django_asgi_lifespan")

_LINGER = 10.0
"""Seconds that surplus threads may be idle: a peak seldom comes alone."""


class RequestThreads:
    """Lends a thread to each request that runs synchronous code, and keeps some for the next.

    A request never waits for a thread: where none is idle a new one begins. The supervisor opens
    this before all resources and closes it after them. It works in one event loop.

    Args:
        lifespan: owns the threads.
        keep: how many threads may be idle for longer than a few seconds.

    Raises:
        ImproperlyConfigured: this release of asgiref does not say which thread a request has.
    """

    name = "the request threads"
    startup_timeout = None
    shutdown_timeout = None
    keep_connections = False  # of its own: it has none

    def __init__(self, lifespan: Lifespan, keep: int) -> None:
        if not hasattr(SyncToAsync, "context_to_thread_executor"):
            raise ImproperlyConfigured(
                "ASGI_LIFESPAN['REQUEST_THREADS'] does not work with asgiref "
                f"{asgiref.__version__}, which has no SyncToAsync.context_to_thread_executor. "
                "Install another release of asgiref, or remove the setting. [lifespan-asgiref]"
            )
        self._lifespan = lifespan
        self._loop = lifespan.loop
        self._keep = keep
        self._most = 0
        self._is_closed = False
        self._alive: set[RequestThread] = set()
        self._idle: list[RequestThread] = []  # in the order in which they became idle
        self._lock = threading.Lock()  # a request may take its thread in another event loop
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> AsyncGenerator[None]:
        """Lend threads during the yield. Return when every thread has ended."""
        self._lifespan.request_threads = self
        try:
            yield
        finally:
            self._lifespan.request_threads = None
            await self._close()
        if self._most:
            message = "Request threads: %d at most, and up to %d were kept (REQUEST_THREADS)"
            logger.info(message, self._most, self._keep)

    async def run(self, django: Application, scope: Scope, receive: Receive, send: Send) -> None:
        """Let *django* handle a request, with a thread from here for its synchronous code."""
        context = ThreadSensitiveContext()
        async with context:  # the outermost counts: that of Django's handler does nothing then
            if thread_sensitive_context.get() is not context:
                await django(scope, receive, send)  # inside another, whose thread it shares
                return
            # asgiref itself puts its executors here. With its argument `executor=`, tasks that a
            # view leaves behind would fail, and a test would not share its transaction.
            executors = cast("dict[Any, Executor]", SyncToAsync.context_to_thread_executor)
            lease = executors[context] = _Lease(self)
            failed = True
            try:
                await django(scope, receive, send)
                failed = False
            finally:
                executors.pop(context, None)
                if (thread := lease.end()) is not None:
                    request = f"{scope['method']} {scope['path']}"
                    await self._take_back(thread, request, failed=failed)

    def take(self) -> RequestThread:
        """Return the thread that was idle for the shortest time, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            thread = RequestThread()
            self._alive.add(thread)
            self._most = max(self._most, len(self._alive))
            return thread

    async def _take_back(self, thread: RequestThread, request: str, *, failed: bool) -> None:
        """Keep or end *thread*, when no code of the request runs in it any more.

        A cancellation ends the wait for such code, as it does in Django.
        """
        if thread.is_free:
            self._keep_or_end(thread, request, failed=failed)
            return
        free = self._loop.create_future()

        def settle() -> None:
            self._keep_or_end(thread, request, failed=failed)
            if not free.done():
                free.set_result(None)

        def tell_loop() -> None:
            try:
                self._loop.call_soon_threadsafe(settle)
            except RuntimeError:  # it is closed
                thread.end(self._alive.discard)

        thread.when_free(tell_loop)
        if self._loop.is_running():  # else this coroutine is being thrown away
            await free

    def _keep_or_end(self, thread: RequestThread, request: str, *, failed: bool) -> None:
        if trouble := thread.trouble():
            message = "%s has left %s. Its connection is closed. [lifespan-left-transaction]"
            log(logger, logging.WARNING, message, request, trouble)
        if failed or self._is_closed or trouble is not None:
            thread.end(self._alive.discard)
            return
        thread.idle_since = self._loop.time()
        with self._lock:
            self._idle.append(thread)
        if len(self._idle) > self._keep and self._timer is None:
            self._timer = self._loop.call_later(_LINGER, self._end_surplus)

    def _end_surplus(self) -> None:
        """End the threads that are too many and have been idle for long enough."""
        self._timer = None
        long_ago = self._loop.time() - _LINGER
        with self._lock:
            surplus = self._idle[: max(0, len(self._idle) - self._keep)]
            due = [thread for thread in surplus if thread.idle_since <= long_ago]
            del self._idle[: len(due)]
        for thread in due:
            thread.end(self._alive.discard)
        if len(surplus) > len(due):
            next_due = surplus[len(due)].idle_since + _LINGER
            self._timer = self._loop.call_at(next_due, self._end_surplus)

    async def _close(self) -> None:
        """End the idle threads now, and the others after their requests."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.end(self._alive.discard)
        while self._alive:
            await asyncio.gather(*[asyncio.wrap_future(each.ended) for each in [*self._alive]])


class _Lease(Executor):
    """The executor of one request: takes a thread when synchronous code first runs."""

    def __init__(self, threads: RequestThreads) -> None:
        self._threads = threads
        self._thread: RequestThread | None = None
        self._lock = threading.Lock()  # the code may come from several event loops
        self._is_over = False

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            if self._is_over:  # found in the very moment of the end, by another event loop
                return ThreadPoolExecutor(1).submit(function, *args, **kwargs)
            if self._thread is None:
                self._thread = self._threads.take()
            return self._thread.submit(function, *args, **kwargs)

    def end(self) -> RequestThread | None:
        """Take no more code. Return the thread, if any code came."""
        with self._lock:
            self._is_over = True
            return self._thread
