"""The parameter by which a function gets the application, and those that are a mistake."""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typing_extensions import Self

from django_asgi_lifespan import Resource, ResourceDeclarationError, resource
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.resources import registry


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function, as many decorators do."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


class Framework:
    """An ASGI application of some framework."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Derived(Framework):
    """A class of the project below it."""


@asynccontextmanager
async def _by_name(app: Any) -> AsyncIterator[Any]:
    yield app


@asynccontextmanager
async def _by_other_name(application: Any) -> AsyncIterator[Any]:
    yield application


@asynccontextmanager
async def _by_class(web: Framework) -> AsyncIterator[Any]:
    yield web


@asynccontextmanager
async def _by_derived_class(web: Derived) -> AsyncIterator[Any]:
    yield web


@asynccontextmanager
async def _by_unknown_class(web: FastAPI) -> AsyncIterator[Any]:  # type: ignore[name-defined]  # noqa: F821
    yield web


@asynccontextmanager
async def _by_union(web: Framework | starlette.types.ASGIApp) -> AsyncIterator[Any]:  # type: ignore[name-defined]  # noqa: F821
    yield web


def with_type(annotation: Any) -> Callable[[Any], Any]:
    """Return a function whose annotation is no string, as without the future import."""

    @asynccontextmanager
    async def by_type(web: Any) -> AsyncIterator[Any]:
        yield web

    by_type.__wrapped__.__annotations__["web"] = annotation
    return by_type


async def _generator(app: Any) -> AsyncIterator[Any]:
    yield app


@pytest.mark.parametrize(
    "factory",
    [
        _by_name,
        _by_other_name,
        _by_class,
        _by_derived_class,
        _by_unknown_class,
        _by_union,
        with_type(Framework),
        with_type(Framework | None),
        with_type(Callable[[Any, Any, Any], Awaitable[None]]),
        _generator,
        traced(_generator),
        traced(_by_class),
    ],
    ids=itertools.count(),
)
async def test_a_parameter_that_means_the_application_gets_it(factory: Any) -> None:
    """By its name, or by its annotation."""
    declared: Resource[Any] = resource(factory, name="declared")
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler):
        assert declared.get() is handler


class WithUrl:
    """A class of a library, such as a database's."""

    def __init__(self, url: str) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None: ...


async def _after_a_resource(http_client: object) -> AsyncIterator[Any]:
    yield http_client


async def _with_callback(callback: Callable[[int], None]) -> AsyncIterator[int]:
    yield 1


async def _for_a_form(record: ApplicationForm) -> AsyncIterator[Any]:  # type: ignore[name-defined]  # noqa: F821
    yield record


async def _with_two_applications(app: Any, application: Any) -> AsyncIterator[Any]:
    yield app


class Shop:
    """A class whose author put the decorator above a method."""

    async def pool(self) -> AsyncIterator[Any]:
        yield self


@pytest.mark.parametrize(
    ("factory", "parameters", "remedy"),
    [
        (WithUrl, "parameter 'url'", "resource(lambda: WithUrl(...), name='...')"),
        (functools.partial(WithUrl), "parameter 'url'", "resource(lambda: function(...), name="),
        (_after_a_resource, "parameter 'http_client'", "call .get() on them, and name them in"),
        (_with_callback, "parameter 'callback'", "call .get() on them"),
        (_for_a_form, "parameter 'record'", "call .get() on them"),
        (with_type(int), "parameter 'web'", "annotated as an ASGI application"),
        (with_type("int"), "parameter 'web'", "annotated as an ASGI application"),
        (_with_two_applications, "parameters 'app', 'application'", "as the only one"),
        (Shop.pool, "parameter 'self'", "It is a method, and there is no object to call it on."),
    ],
    ids=itertools.count(),
)
def test_any_other_parameter_is_an_error(factory: Any, parameters: str, remedy: str) -> None:
    """It says what to write."""
    with pytest.raises(ResourceDeclarationError) as error:
        resource(factory, name="declared")
    assert f"takes the {parameters}, and the lifespan has nothing to pass but the" in str(
        error.value
    )
    assert remedy in str(error.value)
    assert not registry.names()
