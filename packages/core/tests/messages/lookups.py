"""Messages of code that asks for a resource, for the state or for the stop, in vain."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import anyio
import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.test import SimpleTestCase

from django_asgi_lifespan import get_state, places, run_lifespan, run_lifespan_sync, stopping
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import lifespans
from messages.table import declare, says, start
from test_causes import request, through, within

NONE = "pool is not available: no lifespan ran in this process. "

# A program without a lifespan

for place, words, remedy in [
    (
        "test",
        (
            "In a test, run one around it: by the fixture 'lifespan' of the pytest plugin, or by "
            "LifespanTestCase of django_asgi_lifespan.testing. Or let a value stand in for the "
            "resource: 'with name.override(value):'."
        ),
        "'with name.override(value):'",
    ),
    (
        "shell",
        (
            "In a shell, start one: 'block = run_lifespan_sync()' and 'running = "
            "block.__enter__()'. Then run coroutines by 'running.run(...)'. In a notebook or an "
            "asynchronous shell: 'async with run_lifespan():'."
        ),
        "'running = block.__enter__()'",
    ),
    (
        "command",
        (
            "In a management command, run one around the code of handle(): 'with "
            "run_lifespan_sync() as running:'. It runs coroutines by 'running.run(...)'."
        ),
        "'with run_lifespan_sync() as running:'",
    ),
    (
        "task worker",
        (
            "In a worker of a task queue, run one in the process that works, around the code of "
            "the task: 'with run_lifespan_sync() as running:'. To keep it from task to task, enter "
            "it when that process starts, and leave it when the process ends."
        ),
        "'with run_lifespan_sync() as running:'",
    ),
    (
        "runworker",
        (
            "The command runworker of Channels runs no lifespan. Run one around the code of the "
            "consumer: 'async with run_lifespan():'."
        ),
        "'async with run_lifespan():'",
    ),
    (
        "unknown",
        (
            "In a script, a command or a test, use run_lifespan() or run_lifespan_sync(). Under a "
            "server, asgi.py has to call django_asgi_lifespan.asgi.get_asgi_application(), and the "
            "server has to start the lifespan: those for WSGI, Django's own runserver and Daphne "
            "without its adapter do not."
        ),
        "asgi.py has to call django_asgi_lifespan.asgi.get_asgi_application()",
    ),
]:

    @says("script" if place == "unknown" else place, NONE + words, remedy)
    def _no_lifespan(monkeypatch: pytest.MonkeyPatch, place: str = place) -> None:
        monkeypatch.setattr(places, "place_of", lambda *_, **__: place)
        declare().get()


IN_CODE = "Put 'async with run_lifespan():' around the code, or 'with run_lifespan_sync():'."
ANY_SERVER = (
    "Run a server that speaks the lifespan protocol, and do not switch it off (uvicorn: "
    "--lifespan on, granian: --interface asgi)."
)

for place, module, words, remedy in [
    (
        "runserver",
        "django.core.servers.basehttp",
        (
            "Django's own runserver has no lifespan. The runserver of uvicorn's adapter has one: "
            "pip "
            'install "django-asgi-lifespan[uvicorn]>=1", and put "django_asgi_lifespan_uvicorn" '
            "before django.contrib.staticfiles in INSTALLED_APPS."
        ),
        'pip install "django-asgi-lifespan[uvicorn]>=1"',
    ),
    (
        "WSGI server",
        "django.core.handlers.wsgi",
        "The server runs the WSGI application, which has none. Serve asgi.py instead.",
        "Serve asgi.py instead",
    ),
    (
        "test client",
        "django.test.client",
        f"Django's test client starts none. {IN_CODE}",
        IN_CODE,
    ),
]:

    @says(place, NONE + words, remedy)
    def _a_view_without_a_lifespan(module: str = module) -> None:
        within(module, "run", declare().get)


@says(
    "server",
    f"{NONE}asgi.py does not make the application with a lifespan. Import get_asgi_application "
    "from django_asgi_lifespan.asgi there.",
    "Import get_asgi_application from django_asgi_lifespan.asgi there",
)
def _a_view_of_an_application_of_django(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifespans, "gates", set())
    within("django.core.handlers.asgi", "handle", declare().get)


# Requests without a lifespan: the log of the server says why

ARRIVE = (
    "Requests arrive, but the server has not started the lifespan, so nothing was opened: pool. "
)


async def nothing(*_: Any) -> None:
    """Serve no request."""


def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a request for a project that has something to open."""
    monkeypatch.setattr(ASGIHandler, "__call__", nothing)
    monkeypatch.delitem(sys.modules, "django_asgi_lifespan_daphne.hooks", raising=False)
    declare()
    return request(LifespanASGIHandler())


@says(
    "server",
    f"{ARRIVE}uvicorn runs with '--lifespan off', or with lifespan='off' in a program or in a "
    "worker class of gunicorn. Use 'on'.",
    "Use 'on'",
)
async def _requests_under_uvicorn_without_lifespan(monkeypatch: pytest.MonkeyPatch) -> None:
    space: dict[str, Any] = {"__name__": "uvicorn.server"}
    exec("class Server:\n    async def serve(self, call):\n        await call", space)
    server = space["Server"]()
    server.config = types.SimpleNamespace(lifespan="off")
    await asyncio.ensure_future(server.serve(serve(monkeypatch)))


for server, module, function, cfg, words, remedy in [
    (
        "gunicorn",
        "gunicorn.workers.gasgi",
        "run",
        {"asgi_lifespan": "off"},
        "gunicorn runs with '--asgi-lifespan off'. Use 'on'.",
        "Use 'on'",
    ),
    (
        "granian",
        "granian.server.mp",
        "_spawn_asgi_worker",
        {},
        "granian runs with '--interface asginl'. Use '--interface asgi'.",
        "Use '--interface asgi'",
    ),
    (
        "daphne",
        "daphne.server",
        "run",
        {},
        (
            "daphne does not speak the lifespan protocol, and its adapter is not in use. Install "
            "it: pip install \"django-asgi-lifespan[daphne]>=1\". ASGI_LIFESPAN['ADAPTERS'] must "
            "not be None."
        ),
        'pip install "django-asgi-lifespan[daphne]>=1"',
    ),
    ("an unknown server", "mysite.server", "run", {}, ANY_SERVER, ANY_SERVER),
]:

    @says("server", ARRIVE + words, remedy, about=server)
    def _requests_without_a_lifespan_under(
        monkeypatch: pytest.MonkeyPatch,
        module: str = module,
        function: str = function,
        cfg: Any = cfg,
    ) -> None:
        def run() -> None:
            asyncio.run(through("asgiref.any", serve(monkeypatch)))

        within(module, function, run, cfg=types.SimpleNamespace(**cfg))


@says(
    "server",
    f"{ARRIVE}Another application stands in front, mysite.passes_on, and does not pass the "
    "lifespan scope on. Put LifespanApplication around the outermost application: application = "
    "LifespanApplication(application).",
    "application = LifespanApplication(application)",
)
async def _requests_behind_another_application(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = through("mysite", serve(monkeypatch))
    await asyncio.ensure_future(through("hypercorn.app_wrappers", inner))


@says(
    "server",
    f"{ARRIVE}Either the application in front, mysite.passes_on, does not pass the lifespan scope "
    f"on: put LifespanApplication around it. Or the server does not start it. {ANY_SERVER}",
    "put LifespanApplication around it",
)
async def _requests_behind_another_application_and_server(monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.ensure_future(through("mysite", serve(monkeypatch)))


@says(
    "test",
    f"{ARRIVE}httpx.client.passes_on sends requests to the application, and starts no lifespan. "
    f"{IN_CODE}",
    IN_CODE,
)
async def _requests_of_a_client_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.ensure_future(through("httpx.client", serve(monkeypatch)))


# The lifespan is another one, or is over


@says(
    "test",
    "pool is not available: the lifespan failed to start: pool failed to start: OSError: refused. "
    "The log has the traceback. Remove the cause, and start again.",
    "Remove the cause, and start again",
)
async def _a_lifespan_that_failed() -> None:
    pool = declare("pool", broken)
    await asyncio.wait([asyncio.ensure_future(quiet(start()))])
    pool.get()


async def broken() -> AsyncIterator[None]:
    """Fail to open."""
    for each in (None, 1):
        if each is None:
            raise OSError("refused")
        yield each


async def quiet(awaitable: Any) -> None:
    """Wait for the end of *awaitable*."""
    await asyncio.gather(awaitable, return_exceptions=True)


@says(
    "test",
    "pool is not available: the lifespan has ended, and everything that it had opened is closed. A "
    "task or thread that uses it must end before: start it in a resource, and end it after the "
    f"yield. {places.REMEDIES['test']}",
    "start it in a resource, and end it after the yield",
)
async def _a_lifespan_that_has_ended() -> None:
    pool = declare()
    await start()
    pool.get()


FORKED = "Start a lifespan in this process: with run_lifespan_sync()."


@says(
    "fork",
    "pool is not available: this process was forked from the one in which the lifespan runs, whose "
    f"objects work only there. {FORKED}",
    FORKED,
)
async def _a_lifespan_of_the_parent() -> None:
    pool = declare()
    async with run_lifespan():
        lifespans.forget()  # as in a child
        pool.get()


@says(
    "thread",
    "pool is not available: 2 lifespans run in this process and this thread belongs to none: "
    "running lifespan … in event loop …, running lifespan … in event loop …. Ask in async code, "
    "and pass the value on.",
    "Ask in async code, and pass the value on",
)
def _two_lifespans() -> str:
    pool = declare()
    with run_lifespan_sync(), run_lifespan_sync():
        return asked_in_a_thread(pool.get)


def asked_in_a_thread(ask: Callable[[], object]) -> str:
    """Return the error of *ask*, which a new thread calls that belongs to no lifespan."""
    errors: list[str] = []

    def run() -> None:
        try:
            ask()
        except Exception as error:
            errors.append(str(error))

    thread = threading.Thread(target=contextvars.Context().run, args=(run,))
    thread.start()
    thread.join()
    return errors[0]


@says(
    "startup",
    "pool is not available: the lifespan is still starting. What a resource needs at its start "
    "belongs in its requires=[...]; everything else runs after the startup.",
    "belongs in its requires=[...]",
)
async def _a_lifespan_that_starts() -> str:
    errors: list[str] = []

    async def slow() -> AsyncIterator[None]:
        def ask() -> None:
            try:
                pool.get()
            except Exception as error:
                errors.append(str(error))

        Context().run(ask)  # as in a task that was there before
        yield

    pool = declare("pool", slow)
    await start()
    return errors[0]


ELSEWHERE = "pool is not available: the lifespan runs in another event loop, and "


@says(
    "server",
    f"{ELSEWHERE}what was opened there works only there. Ask in that loop: in an async view, or by "
    "async_to_sync in a sync view.",
    "in an async view, or by async_to_sync in a sync view",
)
async def _another_loop_beside_a_server() -> str:
    pool = declare()

    async def ask() -> None:
        pool.get()

    async with LifespanDriver(LifespanASGIHandler()):
        return asked_in_a_thread(lambda: asyncio.run(ask()))


@says(
    "script",
    f"{ELSEWHERE}its objects work only there. Run this code there: by running.run(...), where the "
    "lifespan is that of 'with run_lifespan_sync() as running:'. In asynchronous tests and "
    "scripts, 'async with run_lifespan():' runs one in the loop of the caller.",
    "by running.run(...)",
)
def _another_loop_beside_a_block() -> None:
    pool = declare()

    async def ask() -> None:
        pool.get()

    with run_lifespan_sync():
        async_to_sync(ask)()


# The lifespan that answers has no value


@says(
    "resource",
    "client is not available inside catalogue, which does not require it, so it may not have "
    "started or may have stopped. Declare it: @resource(requires=[client]) on catalogue.",
    "@resource(requires=[client]) on catalogue",
)
async def _a_resource_that_does_not_require_it() -> str:
    client = declare("client")
    errors: list[str] = []

    async def catalogue() -> AsyncIterator[None]:
        try:
            client.get()
        except Exception as error:
            errors.append(str(error))
        yield

    declare("catalogue", catalogue)
    await start()
    return errors[0]


@says(
    "request",
    "pool is not available: it died while it was running (ConnectionResetError: the broker went "
    "away). The log has the traceback. Remove the cause, and restart the program.",
    "Remove the cause, and restart the program",
)
async def _a_resource_that_has_died() -> None:
    pool = declare("pool", dying)
    async with run_lifespan():
        await asyncio.sleep(2)
        pool.get()


async def dying() -> AsyncIterator[None]:
    """Die while it is open."""

    async def crash() -> None:
        await asyncio.sleep(1)
        raise ConnectionResetError("the broker went away")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crash)
        yield


@says(
    "shutdown",
    "pool is not available: it is stopped already, because the lifespan is ending. Code that needs "
    "it until then belongs in a resource that requires it.",
    "belongs in a resource that requires it",
)
async def _a_resource_that_has_stopped() -> str:
    errors: list[str] = []
    pool = declare()

    async def task() -> None:
        while True:
            await asyncio.sleep(0)
            try:
                pool.get()
            except Exception as error:
                errors.append(str(error))
                return

    async def slow() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(5)

    declare("slow", slow)
    async with run_lifespan():
        asking = asyncio.ensure_future(task())
    await asking
    return errors[0]


ONLY = (
    "this lifespan was started with only=[...], and neither names it nor starts a resource that "
    "requires it. Add it: only=[..., pool]."
)


@says("command", f"pool is not available: {ONLY}", "Add it: only=[..., pool]")
async def _a_resource_that_was_left_out() -> None:
    pool = declare()
    async with run_lifespan(only=[declare("client")]):
        pool.get()


@says("command", "only=client must be a list: only=[client].", "only=[client]")
async def _a_resource_in_place_of_a_list() -> None:
    async with run_lifespan(only=declare("client")):  # type: ignore[arg-type]
        pass


@says(
    "command",
    "only=[...] has 'clinet', and no such resource is declared. Did you mean 'client'? Declared "
    "are: client.",
    "Did you mean 'client'?",
)
async def _an_unknown_resource() -> None:
    declare("client")
    async with run_lifespan(only=["clinet"]):
        pass


LATE = "late is not available: it was declared after the startup of this lifespan had begun, in "

for about, module, labels, installed, words, remedy in [
    (
        "a Django app that is not installed",
        "said_weather.lifespan",
        True,
        [],
        (
            "said_weather.lifespan. Only the lifespan.py of an installed Django app is imported by "
            "itself: add 'said_weather' to INSTALLED_APPS."
        ),
        "add 'said_weather' to INSTALLED_APPS",
    ),
    (
        "a Django app that the settings leave out",
        "said_shop.lifespan",
        [],
        ["said_shop"],
        (
            "said_shop.lifespan. ASGI_LIFESPAN['AUTODISCOVER'] leaves this module out. Add "
            "'said_shop' to its list, or import the module in the lifespan.py of an installed "
            "Django app."
        ),
        "Add 'said_shop' to its list",
    ),
    (
        "another module",
        "said_pools.pools",
        True,
        [],
        "said_pools.pools. Import this module in the lifespan.py of an installed Django app.",
        "Import this module in the lifespan.py of an installed Django app",
    ),
    (
        "a package inside a Django app",
        "said_house.kitchen.lifespan",
        True,
        ["said_house"],
        (
            "said_house.kitchen.lifespan. Import this module in the lifespan.py of an installed "
            "Django app."
        ),
        "Import this module in the lifespan.py of an installed Django app",
    ),
]:

    @says("request", LATE + words, remedy, about=about)
    def _a_resource_that_nothing_imports(
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        settings: Any,
        *,
        module: str = module,
        labels: Any = labels,
        installed: list[str] = installed,
    ) -> None:
        text = (
            "from django_asgi_lifespan import resource\n@resource\nasync def late():\n    yield 1\n"
        )
        path = tmp_path / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True)
        (tmp_path / module.partition(".")[0] / "__init__.py").touch()
        (path.parent / "__init__.py").touch()
        path.write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        invalidate_caches()
        settings.ASGI_LIFESPAN = {"AUTODISCOVER": labels}
        with SimpleTestCase().settings(INSTALLED_APPS=installed), run_lifespan_sync():
            late = __import__(module, fromlist=["late"]).late
            monkeypatch.delitem(sys.modules, module)
            late.get()


@says(
    "startup",
    "The state is not available yet: it is filled when every resource has started. Inside a "
    "resource, name the others in requires=[...] and call .get() on them.",
    "name the others in requires=[...] and call .get() on them",
)
async def _the_state_before_it_is_filled() -> str:
    errors: list[str] = []

    async def early() -> AsyncIterator[None]:
        try:
            get_state()
        except Exception as error:
            errors.append(str(error))
        yield

    declare("early", early)
    await start()
    return errors[0]


# Another library's event loop, and another process's

TRIO = (
    "no event loop of asyncio runs here, and Django runs on asyncio alone, because asgiref does. "
    "Call this code by asyncio.run(), not by trio.run(). In synchronous code, use 'with "
    "run_lifespan_sync() as running:'."
)


@says("trio", f"run_lifespan() cannot run here: {TRIO}", "Call this code by asyncio.run()")
def _run_lifespan_under_trio() -> None:
    drive(run_lifespan().__aenter__())


@says("trio", f"The notice of the stop is not available: {TRIO}", "Call this code by asyncio.run()")
def _stopping_under_trio() -> None:
    drive(stopping())


def drive(coroutine: Any) -> None:
    """Begin a coroutine without an event loop of asyncio, as another library would."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


@says(
    "test",
    "The notice of the stop is not available: no lifespan ran in this process. In a test, run one "
    "around it: by the fixture 'lifespan' of the pytest plugin…",
    "by the fixture 'lifespan'",
)
async def _stopping_without_a_lifespan() -> None:
    await stopping()


CANNOT_RUN = "The lifespan cannot run <coroutine object nothing at …>: "


@says(
    "fork",
    f"{CANNOT_RUN}this process was forked from the one in which the event loop runs. {FORKED}",
    FORKED,
)
def _a_coroutine_in_a_fork() -> None:
    with run_lifespan_sync() as running:
        running._pid -= 1
        running.run(nothing())


@says(
    "script",
    f"{CANNOT_RUN}this is its own event loop, which would wait. Use 'await'.",
    "Use 'await'",
)
def _a_coroutine_in_its_own_loop() -> None:
    with run_lifespan_sync() as running:

        async def inside() -> None:
            running.run(nothing())

        running.run(inside())


@says(
    "script",
    f"{CANNOT_RUN}it has ended, and everything that it had opened is closed. Call run() in the "
    "block of run_lifespan_sync().",
    "Call run() in the block of run_lifespan_sync()",
)
def _a_coroutine_after_the_block() -> None:
    with run_lifespan_sync() as running:
        pass
    running.run(nothing())
