"""The probes: the answers of a worker about itself, before and in the place of the application."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import AsyncClient, SimpleTestCase
from django.urls import include, path

from django_asgi_lifespan import health, resource, run_lifespan
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.errors import StartupFailedError
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import lifespans
from django_asgi_lifespan.probes import PROBES
from django_asgi_lifespan.state import announce_stopping


async def ask(
    application: Any, target: str, method: str = "GET", **scope: Any
) -> tuple[int, str, dict[str, str]]:
    """Return status, text and header fields of the answer to a request."""
    where, _, query = target.partition("?")
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.get_running_loop().create_future()
        return body.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    request = {"type": "http", "path": where, "query_string": query.encode(), "method": method}
    await application({**request, "headers": [], **scope}, receive, send)
    start, *rest = sent
    fields = {key.decode(): value.decode() for key, value in start["headers"]}
    return start["status"], b"".join(each.get("body", b"") for each in rest).decode(), fields


async def statuses(application: Any, prefix: str = "/") -> tuple[int, ...]:
    """Return the statuses of the three probes."""
    return tuple([(await ask(application, prefix + name))[0] for name in PROBES])


async def _client() -> AsyncIterator[str]:
    yield "client"


@pytest.fixture(autouse=True)
def _probes(settings: Any) -> None:
    """Every test has probes at the root."""
    settings.ASGI_LIFESPAN = {"PROBES": "/"}


@pytest.fixture
def application() -> LifespanASGIHandler:
    """Return the application of a project with one resource."""
    resource(_client, name="client")
    return LifespanASGIHandler()


async def test_a_running_worker_says_yes(application: LifespanASGIHandler) -> None:
    """In plain text, which no cache keeps."""
    async with LifespanDriver(application):
        assert await statuses(application) == (200, 200, 200)
        assert await ask(application, "/readyz") == (
            200,
            "readyz: ok\n",
            {
                "content-type": "text/plain; charset=utf-8",
                "cache-control": "no-store",
                "content-length": "11",
            },
        )


async def test_only_the_probes_are_answered(application: LifespanASGIHandler) -> None:
    """Django has every other path, also after many requests."""
    async with LifespanDriver(application):
        for _ in range(3):
            assert (await ask(application, "/readyz/"))[0] == 404
            assert (await ask(application, "/livez"))[0] == 200


async def test_without_the_setting_there_are_no_probes(
    application: LifespanASGIHandler, settings: Any
) -> None:
    """Django gets the request, and may have such a path."""
    settings.ASGI_LIFESPAN = {}
    async with LifespanDriver(application):
        assert (await ask(application, "/readyz"))[0] == 404


async def test_with_wrong_settings_there_are_no_probes(
    application: LifespanASGIHandler, settings: Any
) -> None:
    """The startup fails by them, and the worker cannot know where its probes should be."""
    settings.ASGI_LIFESPAN = {"PROBES": "/ops"}
    with pytest.raises(StartupFailedError, match="begins and ends with a slash"):
        async with LifespanDriver(application):
            pass
    assert (await ask(application, "/ops/livez"))[1].startswith("Service unavailable")


async def test_nothing_of_django_stands_in_the_way(settings: Any) -> None:
    """Neither a redirect to HTTPS nor the hosts that are allowed."""
    settings.ALLOWED_HOSTS = ["example.org"]
    settings.SECURE_SSL_REDIRECT = True
    settings.MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ]
    application = LifespanASGIHandler()
    headers = [(b"host", b"10.0.0.1")]
    async with LifespanDriver(application):
        assert (await ask(application, "/", headers=headers))[0] == 400
        assert (await ask(application, "/readyz", headers=headers))[0] == 200


async def test_a_prefix_stands_before_the_names(settings: Any) -> None:
    """Below the path under which the application is served, as for the URLs of Django."""
    settings.ASGI_LIFESPAN = {"PROBES": "/ops/"}
    application = LifespanASGIHandler()
    async with LifespanDriver(application):
        assert await statuses(application, "/ops/") == (200, 200, 200)
        assert (await ask(application, "/shop/ops/livez", root_path="/shop"))[0] == 200
        assert (await ask(application, "/livez"))[0] == 404


@pytest.mark.parametrize("name", PROBES)
async def test_a_probe_is_read_and_nothing_else(
    application: LifespanASGIHandler, name: str
) -> None:
    """HEAD has the header fields of GET."""
    async with LifespanDriver(application):
        status, text, fields = await ask(application, f"/{name}", "HEAD")
        assert (status, text) == (200, "")
        assert fields == (await ask(application, f"/{name}"))[2]
        status, text, fields = await ask(application, f"/{name}", "POST")
        assert (status, text) == (405, "Use GET or HEAD.\n")
        assert fields["allow"] == "GET, HEAD"


async def test_a_worker_is_ready_between_startup_and_stop() -> None:
    """It is alive all the time, and stays started."""
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[None]:
        await gate.wait()
        yield

    resource(slow)
    application = LifespanASGIHandler()
    driver = LifespanDriver(application)
    starting = asyncio.create_task(driver.__aenter__())
    await asyncio.sleep(1)
    assert await statuses(application) == (200, 503, 503)
    assert (await ask(application, "/readyz?verbose"))[1] == (
        "readyz: the startup goes on\nslow: not open\n"
    )
    gate.set()
    await starting
    assert await statuses(application) == (200, 200, 200)
    announce_stopping()
    assert await statuses(application) == (200, 503, 200)
    assert (await ask(application, "/readyz"))[1] == "readyz: the worker stops\n"
    await driver.__aexit__(None, None, None)
    assert await statuses(application) == (200, 503, 200)


async def test_after_a_failed_startup_nothing_is_right() -> None:
    """Even where the server goes on: only a restart can help."""

    async def broken() -> AsyncIterator[None]:
        raise OSError
        yield

    resource(broken)
    application = LifespanASGIHandler()
    with pytest.raises(StartupFailedError):
        async with LifespanDriver(application):
            pass
    assert await statuses(application) == (503, 503, 503)
    assert (await ask(application, "/livez"))[1] == "livez: the startup has failed: see the log\n"


async def test_without_a_lifespan_nothing_is_ready(
    application: LifespanASGIHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """Where something would have to be opened. The log says why it is not, once."""
    assert await statuses(application) == (200, 503, 503)
    assert "started no lifespan" in (await ask(application, "/readyz"))[1]
    [line] = caplog.messages
    assert "the server has not started the lifespan, so nothing was opened: client" in line


async def test_without_a_lifespan_a_project_without_resources_is_ready() -> None:
    """There is nothing to wait for, and the server may not speak the lifespan protocol."""
    assert await statuses(LifespanASGIHandler()) == (200, 200, 200)


async def test_a_failing_check_makes_the_worker_unready(settings: Any) -> None:
    """Its name is told where it is asked for, and its reason only if the settings allow it."""

    async def check(value: str) -> None:
        raise OSError(f"no route to {value}:secret@db")

    resource(_client, name="client")
    resource(_client, name="database", check=check)
    application = LifespanASGIHandler()
    async with LifespanDriver(application):
        assert await statuses(application) == (200, 503, 200)
        assert (await ask(application, "/readyz"))[1] == "readyz: a check fails: see the log\n"
        assert (await ask(application, "/readyz?verbose"))[1] == (
            "readyz: a check fails: see the log\nclient: open\ndatabase: its check fails\n"
        )
        told = (
            "readyz: a check fails: see the log\nclient: open\n"
            "database: OSError: no route to client:secret@db\n"
        )
        settings.ASGI_LIFESPAN = {"PROBES_VERBOSE": True}
        assert (await ask(application, "/readyz?verbose=1"))[1] == told
        settings.ASGI_LIFESPAN = {}
        settings.DEBUG = True
        assert (await ask(application, "/readyz?a=b&verbose"))[1] == told


async def test_any_application_has_the_probes() -> None:
    """``LifespanApplication`` answers in its place, for the resources of the project."""
    seen: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        if scope["type"] == "lifespan":
            raise RuntimeError
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    application = LifespanApplication(inner)
    async with LifespanDriver(application):
        assert await statuses(application) == (200, 200, 200)
        assert (await ask(application, "/"))[0] == 204
        await application({"type": "websocket", "path": "/livez"}, *[_silent] * 2)
    assert seen == ["lifespan", "http", "websocket"]


async def _silent(*_: object) -> Any:
    return {"type": "websocket.connect"}


async def test_the_probes_are_views_as_well(settings: Any) -> None:
    """Behind the middleware, at any place among the URLs."""
    settings.ASGI_LIFESPAN = {}
    resource(_client, name="client")
    urls = (path("ops/", include("django_asgi_lifespan.probes")),)
    with SimpleTestCase().settings(ROOT_URLCONF=urls):
        client = AsyncClient()
        response: HttpResponse = await client.get("/ops/readyz")
        assert response.status_code == 503
        async with run_lifespan():
            response = await client.get("/ops/readyz?verbose")
            assert (response.status_code, response.content) == (200, b"readyz: ok\nclient: open\n")
            response = await client.post("/ops/livez")
            assert response.status_code == 405
            assert response["Allow"] == "GET, HEAD"


@pytest.mark.real_clock
async def test_a_probe_takes_less_than_a_millisecond_of_processor_time() -> None:
    """With the results of five checks that are kept, and with those of asynchronous checks anew."""

    async def check(value: str) -> bool:
        return value == "client"

    asyncio.get_running_loop().set_debug(False)
    for number in range(5):
        resource(_client, name=f"client_{number}", check=check)
    application = LifespanASGIHandler()
    async with LifespanDriver(application):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(100):
            is_new = turn % 2 == 0
            if is_new:
                [lifespan] = lifespans.anywhere
                health._healths.pop(lifespan, None)
            began = time.process_time()
            assert (await ask(application, "/readyz"))[0] == 200
            seconds[is_new].append(time.process_time() - began)
    assert max(map(statistics.median, seconds.values())) < 0.001
