"""When a thread begins, who gets it, when it is given back, and when it ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Mapping
from typing import Any
from unittest import mock

import asgiref
import django
import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from django_asgi_lifespan import (
    ShutdownFailedError,
    StartupFailedError,
    request_threads,
    resource,
    run_lifespan,
)
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import Lifespan, lifespans
from django_asgi_lifespan.request_threads import RequestThreads
from django_asgi_lifespan.traced import TracedHandler
from virtual_clock import run

from .conftest import Configure
from .helpers import (
    DEADLINE,
    Answer,
    executors_of_requests,
    get,
    marks,
    project,
    settle,
    this_thread,
    threads_here,
    until,
)

pytestmark = marks


def ident(request: HttpRequest) -> HttpResponse:
    """Answer with the thread in which synchronous code of the request runs."""
    return HttpResponse(str(this_thread()))


async def aident(request: HttpRequest) -> HttpResponse:
    """Do the same from async code."""
    return HttpResponse(str(await sync_to_async(this_thread)()))


class Gate:
    """Synchronous code that goes on when the test says so."""

    def __init__(self) -> None:
        self.entered, self.release = threading.Event(), threading.Event()
        self.thread = 0
        self.left = False

    def __call__(self) -> None:
        self.thread = this_thread()
        self.entered.set()
        assert self.release.wait(DEADLINE)
        self.left = True

    async def wait(self) -> None:
        """Return when the code runs."""
        await until(self.entered.is_set)


def calls(threads: RequestThreads) -> int:
    """Return how many calls run or wait in the one thread."""
    [thread] = threads._alive
    return thread._submitted - thread._completed


# Who gets a thread


async def test_the_thread_of_a_request_goes_to_the_next_one() -> None:
    """Whether the views are async or not."""
    async with project(ident=ident, aident=aident) as (handler, _):
        answers = [await get(handler, url) for url in ("/ident", "/aident", "/ident", "/aident")]
    assert len(set(answers)) == 1
    assert answers[0].status == 200


async def test_without_the_setting_each_request_has_a_new_thread() -> None:
    """As under stock Django: the next one begins before the one before has ended."""
    names: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        names.append(threading.current_thread().name)
        return HttpResponse()

    async with project(None, view=view) as (handler, threads):
        assert threads is None
        for _ in range(2):
            await get(handler, "/view")
    assert len(set(names)) == 2


async def test_a_request_never_waits_for_a_thread() -> None:
    """The number of the setting is that of the threads that are kept, and no limit."""
    meet = threading.Barrier(5)

    def view(request: HttpRequest) -> HttpResponse:
        meet.wait(DEADLINE)
        return HttpResponse()

    async with project(1, view=view) as (handler, threads):
        answers = await asyncio.gather(*[get(handler, "/view") for _ in range(5)])
        assert len(threads._idle) == 5
    assert [answer.status for answer in answers] == [200] * 5


async def test_the_thread_that_came_back_last_goes_out_first() -> None:
    """Its connections are the youngest, and those of a peak become old."""
    gates = {"a": Gate(), "b": Gate()}

    def view(request: HttpRequest) -> HttpResponse:
        if request.GET:
            gates[request.GET["gate"]]()
        return HttpResponse(str(this_thread()))

    async with project(view=view) as (handler, _):
        first, second = (asyncio.create_task(get(handler, f"/view?gate={name}")) for name in gates)
        for gate in gates.values():
            await gate.wait()
        gates["b"].release.set()
        await second
        gates["a"].release.set()
        await first
        assert await get(handler, "/view") == first.result()
        assert first.result() != second.result()


async def test_a_slow_upload_holds_no_thread() -> None:
    """A thread is lent at the first synchronous call, which comes after the body."""
    finish = asyncio.Event()
    parts = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> Mapping[str, Any]:
        if parts:
            return parts.pop()
        await finish.wait()
        finish.clear()
        return {"type": "http.request", "body": b"y", "more_body": False}

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.body)

    async with project(view=view) as (handler, threads):
        uploading = asyncio.create_task(get(handler, "/view", receive=receive))
        await until(lambda: not parts)
        await settle()
        assert not threads._alive
        finish.set()
        assert await uploading == Answer(200, "xy")
        assert len(threads._alive) == 1


async def test_a_request_without_synchronous_code_takes_no_thread() -> None:
    """As one whose client leaves before its body has come."""

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.disconnect"}

    async with project(view=ident) as (handler, threads):
        assert await get(handler, "/view", receive=receive) == Answer(0, "")
        assert not threads._alive


async def test_other_scopes_go_to_django_as_they_came() -> None:
    """Request threads are for HTTP."""
    async with project() as (handler, threads):
        with pytest.raises(ValueError, match="Django can only handle ASGI/HTTP connections"):
            await handler({"type": "unknown"}, None, None)  # type: ignore[arg-type]
        assert not threads._alive


# When a thread is given back


@pytest.mark.skipif(django.VERSION < (5, 0), reason="it does not see clients leave")
async def test_a_client_that_leaves_while_synchronous_code_runs() -> None:
    """The request waits for the end of the code, and the thread is lent on after it."""
    gate = Gate()

    async def view(request: HttpRequest) -> HttpResponse:
        await sync_to_async(gate)()
        raise AssertionError

    async with project(view=view, ident=ident) as (handler, threads):
        leaving = asyncio.create_task(get(handler, "/view", leave=gate.wait))
        await gate.wait()
        await settle()
        assert not leaving.done()
        assert not threads._idle
        gate.release.set()
        assert await leaving == Answer(0, "")
        assert (await get(handler, "/ident")).text == str(gate.thread)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_thread_is_not_lent_while_code_of_a_cancelled_request_runs_in_it(
    times: int,
) -> None:
    """However often a server cancels the request. Then the thread ends, with its connections."""
    gate = Gate()

    async def view(request: HttpRequest) -> HttpResponse:
        await sync_to_async(gate)()
        return HttpResponse()

    async with project(view=view, ident=ident) as (handler, threads):
        cancelled = asyncio.create_task(get(handler, "/view"))
        await gate.wait()
        for _ in range(times):
            cancelled.cancel()
            await settle()
        other = await get(handler, "/ident")
        assert other.text != str(gate.thread)
        gate.release.set()
        await asyncio.wait([cancelled], timeout=DEADLINE)
        assert cancelled.cancelled()
        await until(lambda: len(threads._alive) == 1)
        assert await get(handler, "/ident") == other


async def test_a_task_that_a_view_leaves_in_synchronous_code_is_waited_for() -> None:
    """The request ends after it, and the thread is lent on after it, as Django ends it after it."""
    gate = Gate()
    left: list[asyncio.Task[None]] = []

    async def view(request: HttpRequest) -> HttpResponse:
        left.append(asyncio.create_task(sync_to_async(gate)()))
        await gate.wait()
        return HttpResponse()

    async with project(view=view, ident=ident) as (handler, threads):
        request = asyncio.create_task(get(handler, "/view"))
        await gate.wait()
        await until(lambda: calls(threads) == 2)  # the second is the end of the request
        await settle()
        assert not request.done()
        assert not threads._idle
        gate.release.set()
        assert (await request).status == 200
        await left[0]
        assert (await get(handler, "/ident")).text == str(gate.thread)


async def test_a_request_that_is_cancelled_while_it_waits_for_such_a_task_ends_at_once() -> None:
    """The thread is taken back when the code has ended."""
    gate = Gate()
    left: list[asyncio.Task[None]] = []

    async def view(request: HttpRequest) -> HttpResponse:
        left.append(asyncio.create_task(sync_to_async(gate)()))
        await gate.wait()
        return HttpResponse()

    async with project(view=view, ident=ident) as (handler, threads):
        request = asyncio.create_task(get(handler, "/view"))
        await gate.wait()
        # Its own end, of Django, waits in the queue of the thread.
        await until(lambda: calls(threads) == 2)
        request.cancel()
        await settle()
        request.cancel()
        await asyncio.wait([request], timeout=DEADLINE)
        assert request.cancelled()
        assert not gate.left
        assert len(threads._alive) == 1
        gate.release.set()
        await left[0]
        await until(lambda: not threads._alive)


async def test_a_task_that_a_view_leaves_behind_may_run_synchronous_code_later() -> None:
    """In a thread of its own, the same for every call, as under stock Django."""
    go_on = asyncio.Event()
    left: list[asyncio.Task[list[int]]] = []

    async def later() -> list[int]:
        await go_on.wait()
        return [await sync_to_async(this_thread)() for _ in range(2)]

    async def view(request: HttpRequest) -> HttpResponse:
        left.append(asyncio.create_task(later()))
        return await aident(request)

    executors = SyncToAsync.context_to_thread_executor
    async with project(view=view) as (handler, threads):
        answer = await get(handler, "/view")
        before = set(executors)
        go_on.set()
        first, second = await left[0]
        assert first == second != int(answer.text)
        assert len(threads._alive) == 1
        left.clear()
        # With -X thread_inherit_context, the thread of asgiref keeps the context that keeps it.
        for each in set(executors) - before:
            del executors[each]
        del each, before
        gc.collect()


async def test_code_that_found_its_executor_just_before_the_end_runs_elsewhere() -> None:
    """The thread may belong to the next request already."""
    executors: list[Any] = []

    async def view(request: HttpRequest) -> HttpResponse:
        executors.extend(executors_of_requests())
        return await aident(request)

    async with project(view=view) as (handler, _):
        answer = await get(handler, "/view")
        late = await asyncio.wrap_future(executors[0].submit(this_thread))
        assert late != int(answer.text)


# When a thread ends


async def test_a_thread_ends_after_a_request_that_failed(database: Configure) -> None:
    """And its connections with it: the end of the request was not sent to Django's receivers."""
    used: list[Any] = []

    def view(request: HttpRequest) -> HttpResponse:
        connection.ensure_connection()
        used.append(connection.connection)
        return HttpResponse("x")

    async with project(view=view, ident=ident) as (handler, threads):
        with pytest.raises(OSError, match="gone"):
            await get(handler, "/view", send_error=OSError("gone"))
        await until(lambda: not threads._alive)
        with pytest.raises(Exception, match="closed database"):
            used[0].execute("SELECT 1")
        await get(handler, "/ident")
        assert len(threads._idle) == 1


async def test_a_view_that_raises_does_not_end_its_thread() -> None:
    """Django makes a response of it, and ends the request as any other."""

    def raises(request: HttpRequest) -> HttpResponse:
        raise ValueError(str(this_thread()))

    async with project(raises=raises, ident=ident) as (handler, threads):
        assert (await get(handler, "/raises")).status == 500
        assert len(threads._idle) == 1
        await get(handler, "/ident")
        assert len(threads._alive) == 1


def surplus_of(threads: RequestThreads, number: int) -> list[Any]:
    """Let so many requests have a thread at once, and return the threads."""
    return [threads.take() for _ in range(number)]


async def give_back(threads: RequestThreads, taken: list[Any]) -> None:
    """End the requests that have *taken* threads."""
    for thread in taken:
        await threads._take_back(thread, "GET /", failed=False)


def test_the_surplus_of_a_peak_ends_after_ten_idle_seconds() -> None:
    """Not before, because a peak seldom comes alone. Those that are kept never end."""

    async def main() -> None:
        threads = RequestThreads(Lifespan(), 3)
        taken = surplus_of(threads, 12)
        await give_back(threads, taken)
        await asyncio.sleep(9)
        assert threads._idle == taken
        await asyncio.sleep(2)
        assert threads._idle == taken[-3:]
        await asyncio.sleep(1000)
        assert threads._idle == taken[-3:]
        await threads._close()
        assert not threads._alive

    run(main())


def test_a_thread_of_a_peak_that_is_needed_again_stays() -> None:
    """Each is measured by the time at which it came back."""

    async def main() -> None:
        threads = RequestThreads(Lifespan(), 1)
        await give_back(threads, surplus_of(threads, 4))
        await asyncio.sleep(6)
        await give_back(threads, surplus_of(threads, 2))
        await asyncio.sleep(5)
        assert len(threads._idle) == 2
        await asyncio.sleep(6)
        assert len(threads._idle) == 1
        await give_back(threads, surplus_of(threads, 3))
        await threads._close()
        assert not threads._alive

    run(main())


# The lifespan


async def test_without_a_lifespan_there_are_no_request_threads(settings: Any) -> None:
    """As with ``--lifespan off``: nobody would end them."""
    settings.ASGI_LIFESPAN = {"REQUEST_THREADS": 2}
    settings.ROOT_URLCONF = (path("ident", ident),)
    handler = LifespanASGIHandler()
    alive = threading.active_count()
    assert (await get(handler, "/ident")).status == 200
    await until(lambda: threading.active_count() == alive)


async def test_after_the_lifespan_requests_have_threads_of_django() -> None:
    """A server may still send some."""
    async with project(ident=ident) as (handler, threads):
        await get(handler, "/ident")
        urls = django_settings.ROOT_URLCONF
    with override_settings(ROOT_URLCONF=urls):
        assert (await get(handler, "/ident")).status == 200
    assert threads._most == 1


async def test_they_are_there_before_every_resource_and_end_after_the_last(
    journal: list[str], caplog: pytest.LogCaptureFixture, database: Configure
) -> None:
    """A resource that closes can still send a request. Then the connections close."""
    caplog.set_level(logging.INFO, logger="django_asgi_lifespan")

    def view(request: HttpRequest) -> HttpResponse:
        connection.ensure_connection()
        journal.append(connection.connection)  # type: ignore[arg-type]
        return HttpResponse("here")

    closing, answered = asyncio.Event(), asyncio.Event()

    @resource
    async def client() -> AsyncIterator[None]:
        yield
        closing.set()
        await answered.wait()

    async def ask() -> None:
        await closing.wait()
        journal.append((await get(handler, "/view")).text)
        answered.set()

    async with project(view=view) as (handler, threads):
        asking = asyncio.create_task(ask())
        await get(handler, "/view")
        assert len(threads._alive) == 1
    await asking
    assert not threads._alive
    first, second, answer = journal
    assert (first is second, answer) == (True, "here")
    with pytest.raises(Exception, match="closed database"):
        first.execute("SELECT 1")  # type: ignore[attr-defined]
    messages = [record.getMessage() for record in caplog.records]
    assert "Request threads: 1 at most, and up to 2 were kept (REQUEST_THREADS)" in messages


async def test_the_stop_waits_for_requests_and_names_what_it_waits_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For no longer than SHUTDOWN_TIMEOUT. The thread ends when its code does."""
    gate = Gate()

    def view(request: HttpRequest) -> HttpResponse:
        gate()
        return HttpResponse()

    changed = {"REQUEST_THREADS": 2, "SHUTDOWN_TIMEOUT": 0.05}
    with override_settings(ROOT_URLCONF=(path("view", view),), ASGI_LIFESPAN=changed):
        handler = LifespanASGIHandler()
        driver = LifespanDriver(handler)
        await driver.startup()
        threads = threads_here()
        request = asyncio.create_task(get(handler, "/view"))
        await gate.wait()
        with pytest.raises(ShutdownFailedError, match="waiting for: the request threads"):
            await driver.shutdown()
        gate.release.set()
        assert (await request).status == 200
        await until(lambda: not threads._alive)


async def test_the_stop_waits_for_a_request_in_flight() -> None:
    """Its thread is not kept, and neither is one that begins only then."""
    gate = Gate()

    def view(request: HttpRequest) -> HttpResponse:
        gate()
        return HttpResponse()

    async with project(view=view) as (handler, threads):
        request = asyncio.create_task(get(handler, "/view"))
        await gate.wait()
        asyncio.get_running_loop().call_later(0.05, gate.release.set)
    assert gate.left
    assert (await request).status == 200
    assert not threads._alive
    late = threads.take()
    await threads._take_back(late, "GET /", failed=False)
    await asyncio.wrap_future(late.ended)
    assert not threads._alive


async def test_a_connection_that_fails_to_close_is_reported(
    database: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread ends all the same."""

    def view(request: HttpRequest) -> HttpResponse:
        def fail() -> None:
            raise OSError("no")

        connection.ensure_connection()
        connection.close = fail  # type: ignore[method-assign]
        return HttpResponse()

    async with project(view=view) as (handler, threads):
        await get(handler, "/view")
    assert not threads._alive
    assert "A connection to the database 'default' failed to close" in caplog.text


async def test_an_asgiref_that_does_not_fit_fails_the_startup(settings: Any) -> None:
    """With its version, and with the remedy."""
    settings.ASGI_LIFESPAN = {"REQUEST_THREADS": 2}
    handler = LifespanASGIHandler()

    class Other:
        pass

    with (
        mock.patch.object(request_threads, "SyncToAsync", Other),
        pytest.raises(StartupFailedError) as failure,
    ):
        await LifespanDriver(handler).startup()
    message = str(failure.value)
    assert f"does not work with asgiref {asgiref.__version__}, which has no " in message
    assert "Install another release of asgiref, or remove the setting." in message


async def test_a_lifespan_without_requests_says_nothing_of_them(
    caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    """As in a management command."""
    caplog.set_level(logging.DEBUG, logger="django_asgi_lifespan")
    settings.ASGI_LIFESPAN = {"REQUEST_THREADS": 2}
    async with run_lifespan():
        pass
    assert "Request threads" not in caplog.text
    info = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert not info


def test_the_setting_loads_the_module() -> None:
    """No other lifespan pays for it."""
    script = """if True:
        import asyncio, sys
        from django.conf import settings
        settings.configure()
        import django
        django.setup()
        from django_asgi_lifespan import run_lifespan
        async def main():
            async with run_lifespan():
                print("django_asgi_lifespan.request_threads" in sys.modules)
        asyncio.run(main())
        settings.ASGI_LIFESPAN = {"REQUEST_THREADS": 1}
        asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout.split() == [b"False", b"True"]


# Applications, event loops, processes


async def test_a_handler_inside_another_application_lends_its_threads() -> None:
    """As behind the router of Channels. Other code keeps the one thread that asgiref has."""

    async def router(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan")
        if scope["path"] == "/ident":
            await handler(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 200})
            text = str(await sync_to_async(this_thread)())
            await send({"type": "http.response.body", "body": text.encode()})

    changed = {"ROOT_URLCONF": (path("ident", ident),), "ASGI_LIFESPAN": {"REQUEST_THREADS": 2}}
    with override_settings(**changed):
        handler = LifespanASGIHandler()
        application = LifespanApplication(router)
        async with LifespanDriver(application):
            threads = threads_here()
            lent = {await get(application, "/ident") for _ in range(2)}
            assert len(threads._idle) == len(lent) == 1
            other = {await get(application, "/other") for _ in range(2)}
            assert len(other) == 1
            assert other != lent
        assert not threads._alive


async def test_a_handler_behind_a_tracer_lends_its_threads() -> None:
    """The tracer's application is inside."""
    changed = {"ROOT_URLCONF": (path("ident", ident),), "ASGI_LIFESPAN": {"REQUEST_THREADS": 2}}
    with override_settings(**changed):
        handler = TracedHandler(ASGIHandler())
        async with LifespanDriver(handler):
            answers = {await get(handler, "/ident") for _ in range(2)}
            assert len(threads_here()._idle) == len(answers) == 1


async def test_each_lifespan_of_an_event_loop_has_its_own() -> None:
    """A request has that of the server that sends it."""
    changed = {"ROOT_URLCONF": (path("ident", ident),), "ASGI_LIFESPAN": {"REQUEST_THREADS": 2}}

    @resource
    async def value() -> AsyncIterator[object]:
        yield object()

    with override_settings(**changed):
        handler = LifespanASGIHandler()
        drivers = [LifespanDriver(handler) for _ in range(2)]
        for driver in drivers:
            await driver.startup()
        here = lifespans.running[asyncio.get_running_loop()]
        pools: list[Any] = [lifespan.request_threads for lifespan in here]
        answers: list[list[Answer]] = []
        for driver in drivers:
            state = driver.state
            answers.append([await get(handler, "/ident", state=state.copy()) for _ in range(2)])
        assert [len(pool._alive) for pool in pools] == [1, 1]
        assert [len(set(each)) for each in answers] == [1, 1]
        assert answers[0] != answers[1]
        await drivers[0].shutdown()
        assert await get(handler, "/ident", state=drivers[1].state.copy()) == answers[1][0]
        await drivers[1].shutdown()
        assert [len(pool._alive) for pool in pools] == [0, 0]


def test_each_event_loop_has_its_own() -> None:
    """Two that run at the same time, in threads."""
    ended: list[int] = []

    async def main() -> None:
        async with LifespanDriver(handler):
            threads = threads_here()
            for _ in range(20):
                await asyncio.gather(*[get(handler, "/ident") for _ in range(3)])
        ended.append(len(threads._alive))

    changed = {"ROOT_URLCONF": (path("ident", ident),), "ASGI_LIFESPAN": {"REQUEST_THREADS": 2}}
    with override_settings(**changed):
        handler = LifespanASGIHandler()
        loops = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join(DEADLINE)
    assert ended == [0, 0]


def test_threads_of_an_event_loop_that_was_closed_end(database: Configure) -> None:
    """The garbage collector ends those that are idle, as it does with Django's own."""
    alive = threading.active_count()

    async def main() -> None:
        threads = RequestThreads(Lifespan(), 2)
        taken = surplus_of(threads, 2)
        for thread in taken:
            await asyncio.wrap_future(thread.submit(connection.ensure_connection))
        await give_back(threads, taken)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of sqlite3, where nobody closes
        asyncio.run(main())
        deadline = time.monotonic() + DEADLINE
        while threading.active_count() > alive:
            gc.collect()
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)


def test_a_thread_that_is_busy_when_its_event_loop_is_closed_ends_with_its_code() -> None:
    """Nobody can wait for it: its request is thrown away."""
    gate = Gate()
    loop = asyncio.new_event_loop()

    async def django(scope: Any, receive: Any, send: Any) -> None:
        [executor] = executors_of_requests()
        executor.submit(gate)
        await loop.create_future()

    async def main() -> tuple[RequestThreads, Any]:
        threads = RequestThreads(Lifespan(), 2)
        scope = {"type": "http", "method": "GET", "path": "/"}
        request = threads.run(django, scope, None, None)  # type: ignore[arg-type]
        context.run(request.send, None)
        await gate.wait()
        return threads, request

    context = contextvars.copy_context()
    threads, request = loop.run_until_complete(main())
    context.run(request.close)
    [thread] = threads._alive
    loop.close()
    gate.release.set()
    thread.ended.result(DEADLINE)
    assert not threads._alive
