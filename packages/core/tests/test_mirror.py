"""The state in the server's dictionary and in requests, and wrappers that copy the scope deeply."""

from __future__ import annotations

import copy
import logging
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from starlette.applications import Starlette
from starlette.routing import Mount

from django_asgi_lifespan import asgi_startup, get_state, resource, run_lifespan
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.mirror import StateCopyError


class Pool:
    """An open object. One that has a lock cannot be copied."""

    def __init__(self, lock: object = None) -> None:
        self.lock = lock


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Any:
    """A resource that can be copied, or not."""

    @resource
    async def pool() -> AsyncIterator[Pool]:
        yield Pool(threading.Lock() if getattr(request, "param", True) else None)

    return pool


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The state of each request that reaches Django."""
    seen: list[Any] = []

    async def serve(self: object, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(scope["state"])

    monkeypatch.setattr(ASGIHandler, "__call__", serve)
    return seen


async def ask(application: Any, **scope: Any) -> None:
    """Send a request to *application*."""
    given = {"type": "http", "path": "/", "headers": [], "scheme": "http", **scope}

    async def unused(*_: Any) -> None:
        raise AssertionError

    await application(given, unused, unused)


def deep(application: Any) -> Any:
    """Copy each scope deeply, the lifespan's except."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope = copy.deepcopy(scope)
        await application(scope, receive, send)

    return wrapper


def proxy_fix(application: Any) -> Any:
    """Put hypercorn's wrapper around *application*."""
    reason = "hypercorn is not among the packages of `just test-versions`"
    middleware = pytest.importorskip("hypercorn.middleware", reason=reason)
    return middleware.ProxyFixMiddleware(application)


WRAPPERS = {
    "proxy fix": lambda: proxy_fix(LifespanASGIHandler()),
    "any": lambda: deep(LifespanASGIHandler()),
    "twice": lambda: deep(deep(LifespanASGIHandler())),
    "inside": lambda: LifespanApplication(deep(LifespanASGIHandler())),
    "around Django alone": lambda: LifespanApplication(deep(ASGIHandler())),
    "both": lambda: deep(LifespanApplication(deep(LifespanASGIHandler()))),
}


@pytest.mark.parametrize("pool", [True, False], indirect=True, ids=["lock", "no lock"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
async def test_without_a_mirror_every_request_has_the_objects_themselves(
    pool: Any, states: list[Any], settings: Any, wrapper: str
) -> None:
    """However often a wrapper copies the scope. The server's dictionary is left alone."""
    settings.ASGI_LIFESPAN = {"MIRROR_STATE": False}
    application = WRAPPERS[wrapper]()
    async with LifespanDriver(application) as servers:
        assert servers == {}
        for _ in range(3):
            await ask(application, state=servers.copy())
        await ask(application)  # of a server that sends no state
        assert [state["pool"] is pool.get() for state in states] == [True] * 4
        assert len({id(state) for state in states}) == 4
    assert servers == {}


async def test_without_a_mirror_others_keep_their_keys(
    pool: Any, states: list[Any], settings: Any
) -> None:
    """Those of the server's dictionary, of receivers, and of a wrapper. Ours win."""
    settings.ASGI_LIFESPAN = {"MIRROR_STATE": False}

    @asgi_startup.connect
    async def put(scope: Any, **_: Any) -> None:
        scope["state"]["receiver"] = 1

    handler = LifespanASGIHandler()
    driver = LifespanDriver(handler)
    driver.state["server"] = 2
    async with driver:
        assert driver.state == {"server": 2}
        await ask(handler, state={"server": 2, "wrapper": 3, "pool": None})
        mine = {"pool": pool.get(), "receiver": 1, "server": 2}
        assert get_state() == mine
        assert states == [{**mine, "wrapper": 3}]


@pytest.mark.parametrize(
    ("wrapper", "name"),
    [
        ("proxy fix", "hypercorn.middleware.proxy_fix.ProxyFixMiddleware"),
        ("any", "packages.core.tests.test_mirror.deep."),
        ("inside", "packages.core.tests.test_mirror.deep."),
    ],
)
async def test_the_error_of_a_deep_copy_names_the_setting(
    pool: Any, states: list[Any], wrapper: str, name: str
) -> None:
    """And the wrapper, and the object that cannot be copied."""
    application = WRAPPERS[wrapper]()
    async with LifespanDriver(application) as servers:
        with pytest.raises(StateCopyError) as error:
            await ask(application, state=servers.copy())
    assert isinstance(error.value, TypeError)  # as that of the copy module
    assert str(error.value).startswith(name if sys.version_info >= (3, 11) else name[:30])
    assert str(error.value).endswith(
        " copies the scope of each request deeply, and 'pool' in its state cannot be copied: "
        "TypeError: cannot pickle '_thread.lock' object. Set ASGI_LIFESPAN = {'MIRROR_STATE': "
        "False}: then the state is put into each request behind the wrapper, with the open objects "
        "themselves. [lifespan-deep-copy]"
    )


@pytest.mark.parametrize("pool", [False], indirect=True, ids=["no lock"])
async def test_one_warning_tells_that_requests_get_copies(
    pool: Any, states: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """And names the setting."""

    @resource
    async def number() -> AsyncIterator[int]:  # a copy of it is the object itself
        yield 1

    @resource
    async def last() -> AsyncIterator[Pool]:
        yield Pool()

    application = deep(LifespanASGIHandler())
    async with LifespanDriver(application) as servers:
        for _ in range(2):
            await ask(application, state=servers.copy())
        for state in states:
            assert isinstance(state["pool"], Pool)
            assert state["pool"] is not pool.get()
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "requests get a copy of 'pool' instead of the open object" in warning.getMessage()
    assert "'MIRROR_STATE': False" in warning.getMessage()


async def test_a_wrapper_that_copies_nothing_leaves_the_mirror_alone(
    pool: Any, states: list[Any]
) -> None:
    """The state has only the keys of the project."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        await handler(dict(scope), receive, send)

    handler = LifespanASGIHandler()
    async with LifespanDriver(wrapper) as servers:
        assert servers == {"pool": pool.get()}
        await ask(wrapper, state=servers.copy())
    assert [set(state) for state in states] == [{"pool"}]


@pytest.mark.parametrize("drive", [True, False])
async def test_django_behind_another_application_gets_the_state_too(
    pool: Any, states: list[Any], drive: bool
) -> None:
    """Where that one's own lifespan runs ours, and its state wins."""
    django = LifespanASGIHandler()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, str]]:
        async with LifespanDriver(django) if drive else run_lifespan():
            yield {"greeting": "hello"}

    @resource
    async def greeting() -> AsyncIterator[str]:
        yield "ours"

    front = Starlette(routes=[Mount("/", django)], lifespan=lifespan)
    async with LifespanDriver(front) as servers:
        for _ in range(2):
            await ask(front, state=servers.copy(), method="GET", query_string=b"")
        expected = {"pool": pool.get(), "greeting": "hello"}
    assert states == [expected, expected]
