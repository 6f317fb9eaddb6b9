"""Several lifespans in one process: each caller gets the objects of its own."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.urls import path
from typing_extensions import Self

from django_asgi_lifespan import (
    LifespanError,
    Resource,
    ResourceUnavailableError,
    get_state,
    resource,
    run_lifespan,
    run_lifespan_sync,
)
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import lifespans

pytestmark = pytest.mark.real_clock  # sync code runs in threads

DEADLINE = 60


class Pool:
    """The value of a resource. Each lifespan has one of its own."""


def declare() -> Resource[Pool]:
    """Declare the resource."""

    @resource
    async def pool() -> AsyncIterator[Pool]:
        yield Pool()

    return pool


class Server:
    """A server that gives each request a shallow copy of the state of its own lifespan."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._driver = LifespanDriver(application)

    async def __aenter__(self) -> Self:
        await self._driver.startup()
        self.pool: Pool = self._driver.state["pool"]
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._driver.shutdown()

    async def request(self, path: str = "/") -> bytes:
        """Return the body of the response."""
        body = b""

        async def receive() -> dict[str, Any]:
            if not asked:
                asked.append(True)
                return {"type": "http.request"}
            return await asyncio.Event().wait()  # type: ignore[return-value]

        async def send(message: dict[str, Any]) -> None:
            nonlocal body
            body += message.get("body", b"")

        asked: list[bool] = []
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await self._application({**scope, "state": {**self._driver.state}}, receive, send)
        return body


pools: list[Resource[Pool]] = []


async def async_view(request: HttpRequest) -> HttpResponse:
    """Return the identities of all that it gets."""
    await asyncio.sleep(0)
    return answer(request)


def sync_view(request: HttpRequest) -> HttpResponse:
    """Do the same in a thread."""
    return answer(request)


def answer(request: Any) -> HttpResponse:
    """Return the identity of the pool, found in three ways."""
    found = (pools[0].get(), request.state["pool"], get_state()["pool"])
    return HttpResponse(" ".join(str(id(each)) for each in found))


urlpatterns = [path("async/", async_view), path("sync/", sync_view)]


def same(pool: Pool) -> bytes:
    """Return the answer of a view that got nothing but *pool*."""
    return b" ".join([str(id(pool)).encode()] * 3)


@pytest.fixture
def pool(settings: Any) -> Any:
    """Declare the resource that the views ask for."""
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["*"]
    pools[:] = [declare()]
    return pools[0]


@pytest.mark.parametrize("view", ["/async/", "/sync/"])
async def test_one_application_under_two_servers_of_an_event_loop(
    pool: Resource[Pool], view: str
) -> None:
    """Each request gets the objects of its own server's lifespan, also when the other one stops."""
    handler = LifespanASGIHandler()
    async with Server(handler) as first:
        assert await first.request(view) == same(first.pool)
        async with Server(handler) as second:
            assert first.pool is not second.pool
            for _ in range(2):
                answers = await asyncio.gather(first.request(view), second.request(view))
                assert answers == [same(first.pool), same(second.pool)]
        assert await first.request(view) == same(first.pool)
    with pytest.raises(ResourceUnavailableError, match="the lifespan has ended"):
        pool.get()


@pytest.mark.parametrize("view", ["/async/", "/sync/"])
async def test_two_applications_in_an_event_loop(pool: Resource[Pool], view: str) -> None:
    """As a program has them that runs two servers."""
    async with Server(LifespanASGIHandler()) as first, Server(LifespanASGIHandler()) as second:
        assert await first.request(view) == same(first.pool)
        assert await second.request(view) == same(second.pool)
        assert await first.request(view) == same(first.pool)


@pytest.mark.parametrize("view", ["/async/", "/sync/"])
def test_a_thread_with_an_event_loop_of_its_own_for_each_worker(
    pool: Resource[Pool], view: str
) -> None:
    """Servers for Python without a global lock go there."""
    handler = LifespanASGIHandler()
    barrier = threading.Barrier(3, timeout=DEADLINE)
    results: list[bool] = []

    async def work() -> None:
        async with Server(handler) as server:
            await asyncio.to_thread(barrier.wait)
            results.extend([await server.request(view) == same(server.pool) for _ in range(5)])
            await asyncio.to_thread(barrier.wait)

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert results == [True] * 15


async def test_sync_code_asks_the_event_loop_that_called_it(pool: Resource[Pool]) -> None:
    """While a command in another thread runs a lifespan, which gets its own."""
    found: list[Pool] = []

    def command() -> None:
        with run_lifespan_sync() as running:
            found.extend((pool.get(), running.state["pool"], running.run(ask())))

    async def ask() -> Pool:
        return pool.get()

    async with Server(LifespanASGIHandler()) as server:
        with run_lifespan_sync() as running:
            assert await sync_to_async(pool.get)() is running.state["pool"]  # of this block
        await sync_to_async(command)()
        assert await sync_to_async(pool.get)() is server.pool
    assert len({*found}) == 1
    assert found[0] is not server.pool


async def test_a_lifespan_that_a_request_runs_answers_in_its_block_alone(
    pool: Resource[Pool],
) -> None:
    """Other requests go on with the lifespan of their server."""
    async with Server(LifespanASGIHandler()) as server:

        async def block() -> None:
            async with run_lifespan() as state:
                assert state["pool"] is not server.pool
                assert pool.get() is await sync_to_async(pool.get)() is state["pool"]
                assert await asyncio.create_task(other_task()) is state["pool"]
                assert await server.request("/async/") == same(server.pool)
            assert pool.get() is server.pool

        async def other_task() -> Pool:
            return pool.get()

        entered, left = asyncio.Event(), asyncio.Event()

        async def beside() -> None:
            async with run_lifespan():
                entered.set()
                await left.wait()

        await block()
        task = asyncio.create_task(beside())
        await entered.wait()
        assert pool.get() is server.pool
        left.set()
        await task


async def test_a_block_may_be_left_in_another_context(pool: Resource[Pool]) -> None:
    """As fixtures of tests are."""
    block = run_lifespan()
    state = await asyncio.create_task(block.__aenter__())
    assert pool.get() is state["pool"]
    await asyncio.create_task(block.__aexit__(None, None, None))
    with pytest.raises(ResourceUnavailableError, match="the lifespan has ended"):
        pool.get()


async def test_a_block_may_be_left_in_a_copy_of_its_context(pool: Resource[Pool]) -> None:
    """There it answers until then, and that of the server after."""

    async def leave() -> None:
        assert pool.get() is state["pool"]
        await block.__aexit__(None, None, None)
        assert pool.get() is server.pool

    async with Server(LifespanASGIHandler()) as server:
        block = run_lifespan()
        state = await block.__aenter__()
        await asyncio.create_task(leave())
        assert pool.get() is server.pool


async def test_a_lifespan_that_ends_in_a_forked_process_is_not_the_childs(
    pool: Resource[Pool],
) -> None:
    """The child is told of the fork, before and after the block that it has inherited."""
    async with run_lifespan():
        lifespans.forget()  # as in a child
        with pytest.raises(ResourceUnavailableError, match="this process was forked from"):
            pool.get()
    with pytest.raises(ResourceUnavailableError, match="this process was forked from"):
        pool.get()


def test_sync_code_of_no_lifespan_is_told_of_all(pool: Resource[Pool]) -> None:
    """A thread that somebody started does not know whose it is."""
    errors: list[str] = []

    def thread() -> None:
        with pytest.raises(ResourceUnavailableError) as error:
            pool.get()
        errors.append(str(error.value))

    with run_lifespan_sync(), run_lifespan_sync():
        # With -X thread_inherit_context, a thread belongs to the lifespan of its starter.
        started = threading.Thread(target=contextvars.Context().run, args=(thread,))
        started.start()
        started.join(DEADLINE)
    assert "2 lifespans run in this process and this thread belongs to none" in errors[0]


def test_nothing_of_an_ended_lifespan_stays() -> None:
    """An application may live through many event loops, as in tests."""

    async def ask(scope: Any, receive: Any, send: Any) -> None:
        pool.get()

    pool = declare()
    application = LifespanApplication(ask)
    references: list[weakref.ref[Any]] = []

    async def live() -> None:
        async with Server(application) as server:
            await server.request()
            references.extend((weakref.ref(server.pool), weakref.ref(asyncio.get_running_loop())))

    for _ in range(3):
        asyncio.run(live())
    gc.collect()
    assert [reference() for reference in references] == [None] * 6


async def test_a_coroutine_for_its_own_event_loop_is_an_error() -> None:
    """It would wait for itself."""
    running: Any = None

    async def nothing() -> None:
        raise AssertionError("it must not run")

    async def call() -> None:
        running.run(nothing())

    def command() -> None:
        nonlocal running
        with (
            run_lifespan_sync() as running,
            pytest.raises(LifespanError, match=r"would wait\. Use 'await'"),
        ):
            running.run(call())
        with pytest.raises(LifespanError, match="it has ended"):
            running.run(nothing())

    await asyncio.to_thread(command)


# In processes of their own.

SCRIPT = """
import asyncio, os, signal, sys, threading
import django
from django.conf import settings
settings.configure()
django.setup()
from django_asgi_lifespan import resource, run_lifespan_sync

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

@resource
async def pool():
    say("pool opens")
    yield "pool"
    say("pool closes")
"""

BLOCK = """
def told(): os.kill(os.getpid(), signal.{name})

@resource(requires=[pool])
async def second():
    if {moment!r} == "startup":
        told()
        await asyncio.Event().wait()
    yield
    if "shutdown" in {moment!r}:
        told()
        told()
        await asyncio.sleep(0.1)
    say("second closes")

if {moment!r} == "never left":
    block = run_lifespan_sync()
    block.__enter__()
    told()
    threading.Event().wait(60)
with run_lifespan_sync():
    if "block" in {moment!r}:
        told()
        threading.Event().wait(60)
"""


def run_script(script: str) -> tuple[int, list[str], str]:
    """Return the exit code of a process that ran *script*, its lines, and its errors."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


in_a_process: list[Any] = [
    pytest.mark.process,
    pytest.mark.measured,
    pytest.mark.skipif(sys.platform == "win32", reason="sends the OS signals of POSIX"),
]


def marked(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that starts a process."""
    for mark in in_a_process:
        test = mark(test)
    return test


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", ["startup", "block", "never left"])
@marked
def test_an_os_signal_ends_the_block_at_any_moment(name: str, moment: str) -> None:
    """With everything closed, and as the program would have ended."""
    code, lines, errors = run_script(BLOCK.format(name=name, moment=moment))
    assert code == (143 if name == "SIGTERM" else -2), errors
    assert lines == [
        "pool opens",
        *(["second closes"] if moment != "startup" else []),
        "pool closes",
    ]


@pytest.mark.parametrize("moment", ["shutdown", "block and shutdown"])
@marked
def test_a_repeated_sigterm_does_not_cut_the_shutdown(moment: str) -> None:
    """Supervisors repeat it."""
    code, lines, errors = run_script(BLOCK.format(name="SIGTERM", moment=moment))
    assert code == 143, errors
    assert lines == ["pool opens", "second closes", "pool closes"]


@marked
def test_a_handler_that_the_block_has_set_stays() -> None:
    """It is the program's own."""
    code, lines, errors = run_script(
        """
        def mine(number, frame): say("told")

        with run_lifespan_sync():
            signal.signal(signal.SIGTERM, mine)
        os.kill(os.getpid(), signal.SIGTERM)
        """
    )
    assert code == 0, errors
    assert lines == ["pool opens", "pool closes", "told"]


@marked
def test_a_repeated_ctrl_c_cuts_the_shutdown_short() -> None:
    """After a second, although a resource hangs."""
    code, lines, errors = run_script(
        """
        @resource(requires=[pool])
        async def hangs():
            yield
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    say("cancelled")

        with run_lifespan_sync():
            pass
        """
    )
    assert code == -2, errors
    assert lines[:3] == ["pool opens", "cancelled", "pool closes"], errors


@marked
def test_a_block_that_is_never_left_keeps_no_process_alive() -> None:
    """As in the signals of a task queue. A resource may use threads while it closes."""
    code, lines, errors = run_script(
        """
        @resource
        def in_a_thread():
            yield
            say("in_a_thread closes")

        @resource
        async def uses_a_thread():
            yield
            await asyncio.to_thread(say, "uses_a_thread closes")

        block = run_lifespan_sync()
        block.__enter__()
        """
    )
    assert code == 0, errors
    assert sorted(lines) == [
        "in_a_thread closes",
        "pool closes",
        "pool opens",
        "uses_a_thread closes",
    ]


@marked
def test_a_thread_in_its_block_outlives_the_main_thread() -> None:
    """Python waits for it, and its lifespan goes on until it leaves the block."""
    code, lines, errors = run_script(
        """
        ending = threading.Event()

        def work():
            with run_lifespan_sync() as running:
                entered.set()
                ending.wait(60)
                say(pool.get())

        entered = threading.Event()
        threading.Thread(target=work).start()
        entered.wait(60)
        threading._register_atexit(ending.set)  # called first
        """
    )
    assert code == 0, errors
    assert lines == ["pool opens", "pool", "pool closes"]


@marked
def test_a_forked_process_has_no_lifespan() -> None:
    """It is told so, and neither a call nor the end of the block hangs."""
    code, lines, errors = run_script(
        """
        from django_asgi_lifespan import LifespanError, ResourceUnavailableError

        async def nothing(): pass

        with run_lifespan_sync() as running:
            pid = os.fork()
            if not pid:
                signal.alarm(30)
                for call in (pool.get, lambda: running.run(nothing())):
                    try:
                        call()
                    except (ResourceUnavailableError, LifespanError) as error:
                        say("forked" if "was forked from" in str(error) else error)
            else:
                say(os.waitpid(pid, 0)[1])
        if not pid:
            with run_lifespan_sync():
                say("child's", pool.get())
        """
    )
    assert code == 0, errors
    assert lines == [
        "pool opens",
        "forked",
        "forked",
        "pool opens",
        "child's pool",
        "pool closes",
        "0",
        "pool closes",
    ]
