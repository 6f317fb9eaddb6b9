"""The types that checkers infer of resources. mypy and pyright check this, nobody runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import aiosqlite
import httpx
from asgiref.typing import ASGI3Application
from django.test import LiveServerTestCase, TransactionTestCase
from fastapi import FastAPI
from starlette import types
from starlette.applications import Starlette
from starlette.routing import Mount
from typing_extensions import Self, assert_type

from django_asgi_lifespan import (
    LifespanASGIRequest,
    Resource,
    get_state,
    mounted_application,
    resource,
    run_lifespan,
    run_lifespan_sync,
)
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application
from django_asgi_lifespan.driver import Application, LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.testing import LifespanTestCase, LifespanTestMixin, LifespanUnderTest


@resource
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    """Bare, above an async generator function."""
    async with httpx.AsyncClient() as client:
        yield client


@resource(requires=[http_client, "pool"], startup_timeout=10, shutdown_timeout=2.5)
async def prices() -> AsyncGenerator[dict[str, float]]:
    """With options."""
    yield {"bread": 2.5}


@resource(keep_connections=True)
def leadership() -> Iterator[bool]:
    """With the option that keeps Django's database connections open."""
    yield True


@resource
@asynccontextmanager
async def managed() -> AsyncGenerator[int]:
    """Above an async context manager."""
    yield 1


class Pool:
    """An async context manager."""

    async def __aenter__(self) -> Self:
        """Open."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close."""


@resource
def model() -> Iterator[bytes]:
    """Above a plain generator function."""
    yield b"weights"


@resource(requires=[model])
@contextmanager
def lock() -> Generator[str]:
    """Above a plain context manager."""
    yield "locked"


@resource
@asynccontextmanager
async def lifespan(app: object) -> AsyncGenerator[dict[str, int]]:
    """Above a lifespan as Starlette has it."""
    yield {"one": 1}


@resource
@asynccontextmanager
async def annotated(web: Starlette) -> AsyncGenerator[dict[str, int]]:
    """Above one whose parameter has the type of an application."""
    yield {"two": 2}


@resource(name="third")
@asynccontextmanager
async def named(application: Any) -> AsyncGenerator[dict[str, int]]:
    """With an option."""
    yield {"three": 3}


async def make_pool(alias: str) -> AsyncIterator[str]:
    """Yield, with a parameter that a lambda gives."""
    yield alias


def make_lock(alias: str) -> Iterator[bytes]:
    """Yield, as a plain generator function."""
    yield alias.encode()


async def child(scope: Any, receive: Any, send: Any) -> None:
    """Another ASGI application."""


pool = resource(Pool, name="pool")
file = resource(lambda: Path("words.txt").open(encoding="utf-8"), name="file")  # noqa: SIM115
mounted = mounted_application(child, name="mounted", requires=[pool])
named_pool = resource(name="named_pool")(Pool)
client = resource(lambda: httpx.AsyncClient(timeout=5), name="client")

replica = resource(lambda: make_pool("replica"), name="replica")
file_lock = resource(lambda: make_lock("file"), name="file_lock")
database = resource(lambda: aiosqlite.connect(":memory:"), name="database")

assert_type(http_client, Resource[httpx.AsyncClient])
assert_type(http_client.get(), httpx.AsyncClient)
assert_type(prices.get(), dict[str, float])
assert_type(managed.get(), int)
assert_type(pool.get(), Pool)
assert_type(named_pool.get(), Pool)
assert_type(client.get(), httpx.AsyncClient)
assert_type(model.get(), bytes)
assert_type(leadership.get(), bool)
assert_type(lock.get(), str)
assert_type(lifespan.get(), dict[str, int])
assert_type(annotated.get(), dict[str, int])
assert_type(named.get(), dict[str, int])
assert_type(replica.get(), str)
assert_type(file_lock.get(), bytes)
assert_type(database.get(), aiosqlite.Connection)
assert_type(file.get(), TextIOWrapper)
assert_type(mounted.get(), Application)
assert_type(get_state(), dict[str, Any])
assert_type(get_asgi_application(), LifespanASGIHandler)

with http_client.override("anything, such as a fake"), run_lifespan_sync() as running:
    assert_type(running.state, dict[str, Any])


def view(request: LifespanASGIRequest) -> None:
    """A view whose requests have the state."""
    assert_type(request.state, dict[str, Any])


async def use() -> int:
    """Async code outside a server."""
    async with run_lifespan() as state:
        assert_type(state, dict[str, Any])
    return 1


assert_type(running.run(use()), int)
resources: list[Resource[object]] = [http_client, prices, pool]  # covariant


def declare_those(those: Collection[Resource[Any]], names: set[str]) -> None:
    """Every collection or iterator of resources or names will do."""
    resource(Pool, name="a", requires=those)
    resource(Pool, name="b", requires=(each for each in those))
    resource(Pool, name="c", requires=names)
    resource(Pool, name="d", requires={http_client: 1}.keys())
    resource(Pool, name="e", requires=("pool", http_client))
    resource(Pool, name="f", requires=[])
    resource(Pool, name="g", requires={"pool", http_client})
    resource(name="h", requires=resources)(Pool)
    mounted_application(child, name="m", requires=["pool"])


async def route(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
    """Pass requests on, with the types of Starlette."""
    await get_asgi_application()(scope, receive, send)
    await LifespanApplication(FastAPI())(scope, receive, send)
    await mounted.get()(scope, receive, send)


def fit_applications() -> list[ASGI3Application]:
    """Applications of Starlette, FastAPI and asgiref take the place of ours, and ours of theirs."""
    starlette = Starlette(routes=[Mount("/", app=get_asgi_application())])
    fastapi = FastAPI()
    fastapi.mount("/django", LifespanApplication(starlette))
    fastapi.mount("/mounted", mounted.get())
    ours: list[ASGI3Application] = [get_asgi_application(), LifespanApplication(route)]
    LifespanDriver(fastapi)
    LifespanDriver(ours[0])
    LifespanApplication(ours[0])
    mounted_application(fastapi, name="fastapi")
    mounted_application(ours[1], name="ours")
    mounted_application(factory=FastAPI, name="made")
    return [*ours, mounted.get()]


async def answers(client: httpx.AsyncClient) -> bool:
    """Ask whether the service answers."""
    return (await client.get("/health")).is_success


def declare_checked() -> None:
    """A check is a function of the open object, sync or async."""
    resource(Pool, name="n", check=lambda pool: pool.ping())
    resource(Pool, name="o", check=answers)
    resource(Pool, name="p", check="ping")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


# A string is no list of requirements, nor is a resource.
resource(Pool, name="i", requires="pool")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
resource(name="j", requires="pool")(Pool)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
resource(Pool, name="k", requires=pool)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
mounted_application(child, name="l", requires="pool")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

run_lifespan(only=[http_client, "pool"])
run_lifespan_sync(only={http_client})
run_lifespan(only="pool")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
run_lifespan_sync(only=http_client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def fake_client() -> AsyncIterator[str]:
    """A stand-in may be of any type: a fake need not be a subclass."""
    yield "fake"


class WeatherTests(LifespanTestCase):
    """A test case of Django with the lifespan."""

    lifespan_overrides = {http_client: fake_client, model: b"fake"}  # noqa: RUF012 - as users write
    lifespan_only = ("pool", http_client)
    lifespan_scope = "class"
    lifespan_strict = True

    def test_types(self) -> None:
        """Fail in the type checker alone."""
        assert_type(self.lifespan, LifespanUnderTest)
        assert_type(self.lifespan.state, dict[str, Any])
        assert_type(self.lifespan.run(answers(http_client.get())), bool)


class StoredTests(LifespanTestMixin, TransactionTestCase):
    """Another test case, with the mixin before it."""


class BrowserTests(LifespanTestMixin, LiveServerTestCase):
    """Another one."""

    lifespan_scope = "module"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


resource(aiosqlite.connect)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
resource(Pool())  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]


@resource  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
async def not_a_generator() -> int:
    """A coroutine function."""
    return 1


@resource  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
async def with_another_parameter(url: str) -> AsyncIterator[str]:
    """Above a function whose parameter is not the application."""
    yield url
