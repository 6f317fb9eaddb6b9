"""Requests run the same code, in the same order and threads, as under stock Django."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import logging
import os
import random
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import django
import pytest
from asgiref.sync import (
    ThreadSensitiveContext,
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.utils.deprecation import MiddlewareMixin

from django_asgi_lifespan.handler import LifespanASGIHandler

from .helpers import Answer, executors_of_requests, get, marks, project, this_thread, until

pytestmark = marks

trail: contextvars.ContextVar[str] = contextvars.ContextVar("trail", default="")
events: list[tuple[str, int, str]] = []


def note(event: str) -> None:
    """Write down the event, its thread, and the value of a context variable."""
    events.append((event, this_thread(), trail.get()))


# The mixes: three middlewares of four kinds, and a view


class Middleware:
    """What the kinds have in common.

    Attributes:
        name: its place among the three.
    """

    name = ""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response


class SyncMiddleware(Middleware):
    def __call__(self, request: HttpRequest) -> Any:
        note(f"{self.name} in")
        trail.set(trail.get() + self.name)
        try:
            return self.get_response(request)
        finally:
            note(f"{self.name} out")


class AsyncMiddleware(Middleware):
    sync_capable, async_capable = False, True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> Any:
        note(f"{self.name} in")
        trail.set(trail.get() + self.name)
        try:
            return await self.get_response(request)
        finally:
            note(f"{self.name} out")


class HybridMiddleware(Middleware):
    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        note(f"{self.name} in")
        return self._answer(request) if iscoroutinefunction(self) else self.get_response(request)

    async def _answer(self, request: HttpRequest) -> Any:
        await sync_to_async(note)(f"{self.name} in a thread")
        response = await self.get_response(request)
        note(f"{self.name} out")
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        note(f"{self.name} {exception}")


class OldMiddleware(MiddlewareMixin):
    name = ""

    def process_request(self, request: HttpRequest) -> None:
        note(f"{self.name} in")

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        note(f"{self.name} out")
        return response


KINDS = (SyncMiddleware, AsyncMiddleware, HybridMiddleware, OldMiddleware)
for kind, number in itertools.product(KINDS, "123"):
    made = type(f"{kind.__name__}{number}", (kind,), {"name": f"{kind.__name__[0]}{number}"})
    setattr(sys.modules[__name__], made.__name__, made)


class Left:
    """A client that leaves when the view waits."""

    def __init__(self) -> None:
        self.waits, self.has_left = threading.Event(), threading.Event()

    async def leave(self) -> None:
        """Return when the client leaves, and let the view go on when Django has cancelled it."""
        await until(self.waits.is_set)
        self._going_on = asyncio.ensure_future(self._let_view_go_on())

    async def _let_view_go_on(self) -> None:
        for _ in range(100):  # Django cancels it after fewer steps of the event loop
            await asyncio.sleep(0)
        self.has_left.set()


clients: list[Left] = []


def answer(request: HttpRequest) -> HttpResponse:
    """Answer, or raise, as the request says."""
    if "error" in request.GET:
        raise ValueError("error")
    if "missing" in request.GET:
        raise Http404
    return HttpResponse(trail.get())


def view(request: HttpRequest) -> HttpResponse:
    """Answer from synchronous code."""
    note("view")
    if clients:
        clients[0].waits.set()
        clients[0].has_left.wait(60)
    return answer(request)


async def aview(request: HttpRequest) -> HttpResponse:
    """Answer from async code with calls of synchronous code, two of them at once."""
    note("view")
    await sync_to_async(note)("call")
    await asyncio.gather(sync_to_async(note)("one"), sync_to_async(note)("two"))
    if clients:
        clients[0].waits.set()
        await until(clients[0].has_left.is_set)
    return answer(request)


async def story(application: Any, url: str) -> Any:
    """Return the answer and the events, with letters for the threads in order of appearance."""
    events.clear()
    clients.clear()
    leave = None
    if "leave" in url:
        clients.append(Left())
        leave = clients[0].leave
    try:
        outcome: Any = await get(application, url, leave=leave)
    except Exception as error:
        outcome = repr(error)
    if leave is not None:
        await until(clients[0].has_left.is_set)
    letters = {threading.get_ident(): "event loop"}
    told = [
        (event, letters.setdefault(thread, f"thread {len(letters)}"), value)
        for event, thread, value in events
    ]
    return outcome.status if isinstance(outcome, Answer) else outcome, told


def let_asgiref_drop_futures() -> None:
    """Let asgiref drop the futures of cancelled calls, as it does under stock Django too."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)


URLS = ("/view", "/aview", "/view?error", "/aview?error", "/aview?missing")
if django.VERSION >= (5, 0):  # 4.2 does not see clients leave
    URLS = (*URLS, "/view?leave", "/aview?leave")


@pytest.fixture
def _signals_noted() -> Iterator[None]:
    def started(**_: object) -> None:
        note("started")

    def finished(**_: object) -> None:
        note("finished")

    request_started.connect(started)
    request_finished.connect(finished)
    yield
    request_started.disconnect(started)
    request_finished.disconnect(finished)


@pytest.mark.usefixtures("_signals_noted")
@pytest.mark.parametrize("first", KINDS)
async def test_every_mix_of_middlewares_runs_as_under_stock_django(
    first: type, caplog: pytest.LogCaptureFixture
) -> None:
    """The same code in the same order, as many threads, the same values of context variables."""
    caplog.set_level(logging.CRITICAL, logger="django.request")
    let_asgiref_drop_futures()
    cases = 0
    async with project(view=view, aview=aview) as (_, threads):
        for others in itertools.product(KINDS, repeat=2):
            names = [f"{kind.__name__}{i}" for i, kind in enumerate((first, *others), start=1)]
            with override_settings(MIDDLEWARE=[f"{__name__}.{name}" for name in names]):
                ours, stock = LifespanASGIHandler(), ASGIHandler()
                for url in URLS:
                    assert await story(ours, url) == await story(stock, url), (names, url)
                    cases += 1
        assert threads._most == 1
    assert cases == 16 * len(URLS)


# One request in a thread at a time


async def test_no_two_requests_are_in_a_thread_at_once() -> None:
    """However many share the threads."""
    inside: dict[int, object] = {}
    intruders: list[int] = []

    async def view(request: HttpRequest) -> HttpResponse:
        me = object()

        def enter() -> None:
            if inside.setdefault(this_thread(), me) is not me:
                intruders.append(this_thread())
            threading.Event().wait(random.random() * 0.001)

        for _ in range(4):
            await sync_to_async(enter)()
            await asyncio.sleep(random.random() * 0.001)
        await sync_to_async(lambda: inside.pop(this_thread()))()
        return HttpResponse()

    async with project(3, view=view) as (handler, threads):

        async def client() -> None:
            for _ in range(10):
                assert (await get(handler, "/view")).status == 200

        await asyncio.gather(*[client() for _ in range(12)])
        assert len(threads._alive) == len(threads._idle) <= 12
    assert intruders == []


def work() -> int:
    """Take a moment, and return the thread."""
    threading.Event().wait(0.002)
    return this_thread()


async def calls(request: HttpRequest) -> HttpResponse:
    """Call synchronous code three times at once."""
    await asyncio.gather(*[sync_to_async(work)() for _ in range(3)])
    return HttpResponse()


async def streams(request: HttpRequest) -> StreamingHttpResponse:
    """Call it for each part of a stream."""

    async def parts() -> AsyncIterator[str]:
        for _ in range(5):
            yield str(await sync_to_async(work)())

    return StreamingHttpResponse(parts())


def bridges(request: HttpRequest) -> HttpResponse:
    """Call it from async code in synchronous code."""
    return HttpResponse(str(async_to_sync(sync_to_async(work))()))


async def cut_off(handler: Any) -> str:
    """Send a request, cut it off at a random moment, and return how it ended."""
    url = random.choice(["/calls", "/streams", "/bridges"])
    pause = random.choice([0.001, 0.005, 1])
    task = asyncio.ensure_future(get(handler, url, leave=lambda: asyncio.sleep(pause)))
    if random.random() < 0.5:
        await asyncio.sleep(random.random() * 0.01)
        for _ in range(random.choice([1, 2, 5])):
            task.cancel()
            await asyncio.sleep(0)
    await asyncio.wait([task])
    if task.cancelled():
        return "cancelled"
    try:
        task.result()
    except RuntimeError as error:
        if str(error) != "CurrentThreadExecutor already quit or is broken":
            raise  # that one is asgiref's, under stock Django too
    return "done"


async def test_a_storm_of_cancellations_loses_no_thread() -> None:
    """Requests are cancelled, and clients leave, at any moment. No idle thread is busy."""
    outcomes: list[str] = []
    let_asgiref_drop_futures()
    async with project(4, calls=calls, streams=streams, bridges=bridges) as (handler, threads):

        async def client() -> None:
            outcomes.extend([await cut_off(handler) for _ in range(20)])

        await asyncio.gather(*[client() for _ in range(8)])
        await until(lambda: len(threads._alive) == len(threads._idle))
        assert all(thread.is_free for thread in threads._idle)
        for _ in range(8):
            assert (await get(handler, "/calls")).status == 200
    assert not threads._alive
    # Django leaves the task that listens for the client where it is cancelled twice.
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    assert min(outcomes.count("done"), outcomes.count("cancelled")) > 20


async def test_a_hundred_streams_beside_a_few_kept_threads_starve_nobody() -> None:
    """Each holds its thread to its end. Other requests have threads of their own meanwhile."""
    go_on = asyncio.Event()
    streaming: list[int] = []

    async def stream(request: HttpRequest) -> StreamingHttpResponse:
        async def parts() -> AsyncIterator[str]:
            streaming.append(await sync_to_async(this_thread)())
            yield "x"
            await go_on.wait()

        return StreamingHttpResponse(parts())

    async def ident(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(await sync_to_async(this_thread)()))

    async with project(16, stream=stream, ident=ident) as (handler, threads):
        streams = [asyncio.ensure_future(get(handler, "/stream")) for _ in range(100)]
        await until(lambda: len(streaming) == 100)
        assert len(set(streaming)) == 100
        answers = {await get(handler, "/ident") for _ in range(10)}
        assert len(answers) == 1
        assert len(threads._alive) == 101
        go_on.set()
        assert {await each for each in streams} == {Answer(200, "x")}
        assert len(threads._alive) == len(threads._idle) == 101


# Kinds of synchronous code


async def both(url: str, **views: Any) -> list[Answer]:
    """Return the answer of our handler and that of stock Django."""
    async with project(**views) as (handler, _):
        return [await get(handler, url), await get(ASGIHandler(), url)]


async def test_code_in_code_has_one_thread() -> None:
    """Five deep, from one kind to the other."""

    def view(request: HttpRequest) -> HttpResponse:
        async def outer() -> set[int]:
            def middle() -> set[int]:
                async def inner() -> set[int]:
                    deepest = sync_to_async(async_to_sync(sync_to_async(this_thread)))
                    return {await sync_to_async(this_thread)(), await deepest()}

                return async_to_sync(inner)()

            return {await sync_to_async(this_thread)(), *await sync_to_async(middle)()}

        return HttpResponse(str(async_to_sync(outer)() == {this_thread()}))

    assert await both("/view", view=view) == [Answer(200, "True")] * 2


async def test_calls_at_the_same_time_run_one_after_the_other() -> None:
    """In the thread of the request."""

    async def view(request: HttpRequest) -> HttpResponse:
        running: list[int] = []
        most: list[int] = []

        def work() -> int:
            running.append(1)
            most.append(len(running))
            threading.Event().wait(0.002)
            running.pop()
            return this_thread()

        used = await asyncio.gather(*[sync_to_async(work)() for _ in range(5)])
        return HttpResponse(f"{len(set(used))} {max(most)}")

    assert await both("/view", view=view) == [Answer(200, "1 1")] * 2


async def test_code_that_is_not_thread_sensitive_runs_elsewhere() -> None:
    """It is none of the request's own."""

    async def view(request: HttpRequest) -> HttpResponse:
        own = await sync_to_async(this_thread)()
        other = await sync_to_async(this_thread, thread_sensitive=False)()
        return HttpResponse(str(own != other))

    assert await both("/view", view=view) == [Answer(200, "True")] * 2


async def test_a_context_inside_a_request_changes_nothing() -> None:
    """The outermost counts."""

    async def view(request: HttpRequest) -> HttpResponse:
        used = [await sync_to_async(this_thread)()]
        async with ThreadSensitiveContext():
            used.append(await sync_to_async(this_thread)())
        used.append(await sync_to_async(this_thread)())
        return HttpResponse(str(len(set(used))))

    assert await both("/view", view=view) == [Answer(200, "1")] * 2


async def test_a_stream_has_one_thread_to_its_end() -> None:
    """Its iterator, sync or async, and its close after the client has left."""
    used: list[int] = []
    closed = asyncio.Event()

    def sync(request: HttpRequest) -> StreamingHttpResponse:
        def parts() -> Iterator[str]:
            for _ in range(3):
                used.append(this_thread())
                yield "x"

        return StreamingHttpResponse(parts())

    async def asynchronous(request: HttpRequest) -> StreamingHttpResponse:
        async def parts() -> AsyncIterator[str]:
            try:
                for _ in range(100):  # to its end under Django 4.2, which sees nobody leave
                    used.append(await sync_to_async(this_thread)())
                    yield "x"
            finally:
                used.append(await sync_to_async(this_thread)())
                closed.set()

        return StreamingHttpResponse(parts())

    async def leave() -> None:
        await until(lambda: len(used) > 3)

    async with project(sync=sync, asynchronous=asynchronous) as (handler, _):
        with pytest.warns(Warning, match="StreamingHttpResponse must consume synchronous"):
            assert await get(handler, "/sync") == Answer(200, "xxx")
        assert len(set(used)) == 1
        used.clear()
        assert (await get(handler, "/asynchronous", leave=leave)).status == 200
        await closed.wait()
        assert len(set(used)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
async def test_a_view_can_fork() -> None:
    """The child runs synchronous code in its one thread."""

    def view(request: HttpRequest) -> HttpResponse:
        pid = os.fork()
        if not pid:
            try:
                here = async_to_sync(sync_to_async(this_thread))() == this_thread()
                os._exit(7 if here else 8)
            except BaseException:
                os._exit(9)
        return HttpResponse(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))

    assert await both("/view", view=view) == [Answer(200, "7")] * 2


async def test_channels_reaches_the_thread_of_a_request() -> None:
    """Its ``database_sync_to_async()`` too."""
    db = pytest.importorskip("channels.db")

    async def view(request: HttpRequest) -> HttpResponse:
        used = {await sync_to_async(this_thread)(), await db.database_sync_to_async(this_thread)()}
        return HttpResponse(str(len(used)))

    assert await both("/view", view=view) == [Answer(200, "1")] * 2


# Nothing is kept


async def test_the_objects_of_a_request_are_freed() -> None:
    """Neither the thread nor its executor keeps its context, the one in which it began included."""
    kept: contextvars.ContextVar[object] = contextvars.ContextVar("kept")
    seen: list[weakref.ref[Any]] = []

    class Thing:
        pass

    def keep() -> None:
        thing = Thing()
        kept.set(thing)
        seen.append(weakref.ref(thing))

    def view(request: HttpRequest) -> HttpResponse:
        keep()
        return HttpResponse()

    async def request() -> None:
        keep()
        await get(handler, "/view")

    async with project(view=view) as (handler, threads):
        for _ in range(2):
            await asyncio.create_task(request())
        await until(lambda: gc.collect() >= 0 and [each() for each in seen] == [None] * 4)
        assert len(threads._alive) == 1
        assert not executors_of_requests()
