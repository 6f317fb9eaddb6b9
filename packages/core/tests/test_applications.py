"""Applications in front of Django, whose lifespans run inside the project's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from django.core.asgi import get_asgi_application as get_stock_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from django_asgi_lifespan import (
    ShutdownFailedError,
    StartupFailedError,
    asgi_shutdown,
    asgi_startup,
    get_state,
    mounted_application,
    resource,
    run_lifespan,
)
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application
from django_asgi_lifespan.driver import LifespanDriver

Application = Callable[[Any, Any, Any], Any]


def client(application: Any) -> httpx2.AsyncClient:
    """Return a client of *application* in this process."""
    transport = httpx2.ASGITransport(application)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


def front(journal: list[str], *routes: Any, **state: Any) -> Starlette:
    """Return a Starlette application with a lifespan, which yields *state*."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, Any]]:
        journal.append(f"front opens with {sorted(get_state())}")
        yield state
        journal.append("front closes")

    return Starlette(routes=list(routes), lifespan=lifespan)


@pytest.fixture
def pool(journal: list[str]) -> Any:
    """A resource of the project, and receivers."""

    @resource
    async def pool() -> AsyncIterator[str]:
        journal.append("pool opens")
        yield "the pool"
        journal.append("pool closes")

    @asgi_startup.connect
    async def start() -> None:
        journal.append("startup receiver")

    @asgi_shutdown.connect
    async def stop() -> None:
        journal.append("shutdown receiver")

    return pool


STORY = [
    "pool opens",
    "front opens with ['pool']",
    "startup receiver",
    "shutdown receiver",
    "front closes",
    "pool closes",
]


@pytest.fixture
def urls(settings: Any) -> None:
    """A view of Django that shows its state."""

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(repr(sorted(request.state.items())))  # type: ignore[attr-defined]

    settings.ROOT_URLCONF = (path("", view),)


@pytest.mark.real_clock
async def test_the_lifespan_of_the_application_runs_inside_the_projects(
    urls: None, pool: Any, journal: list[str]
) -> None:
    """After the resources and before the receivers, and back. Both sides see both states."""

    async def show(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.state.pool} {request.state.greeting} {pool.get()}")

    routes = [Route("/front", show), Mount("/", get_asgi_application())]
    application = LifespanApplication(front(journal, *routes, greeting="hello"))
    for _ in range(2):
        async with LifespanDriver(application) as state, client(application) as browser:
            assert state == {"pool": "the pool", "greeting": "hello"}
            for _ in range(2):
                answer = await browser.get("/front")
                assert answer.text == "the pool hello the pool"
                answer = await browser.get("/")
                assert answer.text == "[('greeting', 'hello'), ('pool', 'the pool')]"
    assert journal == STORY * 2


def http_only(application: Application) -> Application:
    """Refuse everything but HTTP by a return, as PostHog's wrapper does."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await application(scope, receive, send)

    return wrapper


def health_check(application: Application) -> Application:
    """Answer as if each scope were a request, as Saleor's wrapper does."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] != "/health":
            await application(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        except Exception as error:  # as an error reporter does
            raise AssertionError("no error is reported") from error

    return wrapper


def reads_first(application: Application) -> Application:
    """Read a message before anything else, and wait for a second one."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    return wrapper


def by_path(application: Application) -> Application:
    """Look at the path, which a lifespan scope does not have."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"]
        await application(scope, receive, send)

    return wrapper


def by_type(application: Application) -> Application:
    """Let Django refuse it, as the router of Channels does."""
    return application


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        (http_only, ""),
        (health_check, ""),
        (reads_first, ""),
        (by_path, ": KeyError: 'path'"),
        (by_type, ": ValueError: Django can only handle ASGI/HTTP"),
    ],
)
async def test_an_application_that_refuses_the_scope_has_no_lifespan(
    pool: Any,
    journal: list[str],
    caplog: pytest.LogCaptureFixture,
    refuse: Callable[[Application], Application],
    reason: str,
) -> None:
    """The project's own runs all the same. One line of the log says so."""
    caplog.set_level(logging.INFO)
    application = LifespanApplication(refuse(get_stock_application()))
    async with LifespanDriver(application) as state:
        assert state == {"pool": "the pool"}
    assert journal == [line for line in STORY if "front" not in line]
    [line] = [line for line in caplog.messages if "application" in line]
    assert line.startswith(f"The application has no lifespan of its own{reason}")


@pytest.mark.real_clock
async def test_a_handler_of_ours_that_the_scope_reaches_answers_at_once(
    urls: None, pool: Any, journal: list[str]
) -> None:
    """Through a wrapper, through another LifespanApplication, or from a lifespan of its own."""

    def passes_on(application: Application) -> Application:
        async def wrapper(scope: Any, receive: Any, send: Any) -> None:
            await application(scope, receive, send)

        return wrapper

    django = get_asgi_application()

    @asynccontextmanager
    async def drives(_: Starlette) -> AsyncGenerator[None]:
        async with LifespanDriver(django):
            yield

    for inner in (
        passes_on(django),
        LifespanApplication(passes_on(django)),
        Starlette(routes=[Mount("/", django)], lifespan=drives),
    ):
        application = LifespanApplication(inner)
        async with LifespanDriver(application), client(application) as browser:
            assert (await browser.get("/")).text == "[('pool', 'the pool')]"
        assert journal == [line for line in STORY if "front" not in line]
        journal.clear()


async def test_a_wrapped_application_of_ours_still_runs_what_it_wraps(
    pool: Any, journal: list[str]
) -> None:
    """Where another LifespanApplication stands around it."""
    async with LifespanDriver(LifespanApplication(LifespanApplication(front(journal)))):
        pass
    assert journal == STORY


async def test_a_handler_of_ours_can_be_mounted_as_any_application(
    pool: Any, journal: list[str]
) -> None:
    """Its lifespan is the one that runs already."""
    mounted_application(get_asgi_application(), name="admin")
    async with run_lifespan():
        pass
    assert journal == [line for line in STORY if "front" not in line]


async def test_the_applications_startup_fails_the_projects(pool: Any, journal: list[str]) -> None:
    """By its exception, whether it tells the server or raises, or with its message."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        raise ValueError("front is broken")
        yield

    async def raises(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ValueError("front is broken")

    async def tells(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "ValueError: front is broken"})

    for application in (Starlette(lifespan=lifespan), raises, tells):
        with pytest.raises(StartupFailedError) as failure:
            await LifespanDriver(LifespanApplication(application)).startup()
        assert str(failure.value) == (
            "the application's lifespan failed to start: ValueError: front is broken"
        )
        assert journal == ["pool opens", "pool closes"]
        journal.clear()


async def test_the_applications_shutdown_fails_the_projects(pool: Any, journal: list[str]) -> None:
    """When everything has had its turn."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        raise ValueError("front is broken")

    driver = LifespanDriver(LifespanApplication(Starlette(lifespan=lifespan)))
    await driver.startup()
    with pytest.raises(ShutdownFailedError) as failure:
        await driver.shutdown()
    assert str(failure.value) == (
        "the application's lifespan failed to stop: ValueError: front is broken"
    )
    assert journal == ["pool opens", "startup receiver", "shutdown receiver", "pool closes"]


async def test_a_startup_that_is_cancelled_ends_the_application_first(
    pool: Any, journal: list[str]
) -> None:
    """Its code is cancelled where it waits."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        try:
            await asyncio.sleep(3600)
        finally:
            journal.append("front is cancelled")
        yield

    application = LifespanApplication(Starlette(lifespan=lifespan))
    task = asyncio.ensure_future(LifespanDriver(application).startup())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal == ["pool opens", "front is cancelled", "pool closes"]


async def test_the_projects_value_keeps_a_key_that_the_application_wants_too(
    pool: Any, journal: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names both."""
    async with LifespanDriver(LifespanApplication(front(journal, pool="another"))) as state:
        assert state == {"pool": "the pool"}
    [warning] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.getMessage() == (
        "The application's lifespan puts another 'pool' into the state than the project, whose "
        "value stays there. Rename one of them. [lifespan-state-key]"
    )


async def test_a_starlette_style_resource_prepares_the_application(journal: list[str]) -> None:
    """It gets the application itself, whose own lifespan finds what was put there."""

    @resource
    async def prepare(app: Any) -> AsyncIterator[dict[str, Any]]:
        app.state.prepared = "by the project"
        yield {}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        journal.append(app.state.prepared)
        yield

    async with LifespanDriver(LifespanApplication(Starlette(lifespan=lifespan))):
        pass
    assert journal == ["by the project"]
