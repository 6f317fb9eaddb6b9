"""How resources are declared, and the errors of wrong declarations."""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typing_extensions import Self

from django_asgi_lifespan import (
    ResourceDeclarationError,
    ShutdownFailedError,
    StartupFailedError,
    resource,
)
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.resources import registry


async def values() -> AsyncIterator[int]:
    """Yield a value, as the simplest resource does."""
    yield 1


async def start() -> None:
    """Start everything that is declared, and stop it."""
    async with LifespanDriver(LifespanASGIHandler()):
        pass


async def test_a_resource_is_named_after_its_function() -> None:
    """Unless it is given a name."""
    assert resource(values).name == "values"
    assert resource(values, name="other").name == "other"
    assert resource(name="third")(values).name == "third"


async def test_the_signature_of_the_decorator_shows_its_options() -> None:
    """So do ``help()``, editors and the documentation."""
    first, *options = inspect.signature(resource).parameters.values()
    assert first.kind is first.POSITIONAL_ONLY
    assert [option.name for option in options] == [
        "name",
        "requires",
        "startup_timeout",
        "shutdown_timeout",
        "keep_connections",
        "check",
    ]
    assert all(option.kind is option.KEYWORD_ONLY for option in options)


async def test_the_representation_says_where_it_comes_from() -> None:
    """Module and function are in it."""
    assert repr(resource(values)) == f"<Resource values from {__name__}.values>"


class Pool:
    """A class that is an async context manager, as connection pools are."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None: ...


@asynccontextmanager
async def managed() -> AsyncIterator[str]:
    """Yield, as functions of other libraries do."""
    yield "managed"


class CallableObject:
    """An object whose call makes an async generator."""

    async def __call__(self) -> AsyncIterator[int]:
        yield 1


class ThreadNames:
    """An iterable whose iterator is no generator."""

    def __iter__(self) -> Iterator[str]:
        return filter(None, self._names())

    def _names(self) -> Iterator[str]:
        yield threading.current_thread().name


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap, as many decorators do: the result does not show that it is a generator function."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize(
    ("factory", "kind"),
    [
        (values, int),
        (managed, str),
        (Pool, Pool),
        (lambda: Pool(), Pool),  # noqa: PLW0108 - the test is about a lambda
        (functools.partial(Pool), Pool),
        (functools.partial(values), int),
        (lambda: values(), int),  # noqa: PLW0108
        (lambda: managed(), str),  # noqa: PLW0108
        (traced(values), int),
        (traced(managed), str),
        (functools.partial(traced(values)), int),
        (CallableObject(), int),
    ],
    ids=itertools.count(),
)
async def test_every_async_kind_of_factory_works(factory: Callable[[], Any], kind: type) -> None:
    """Generator functions, functions that return a context manager, classes that are one."""
    declared = resource(factory, name="declared")
    async with LifespanDriver(LifespanASGIHandler()):
        assert isinstance(declared.get(), kind)


def plain_values() -> Iterator[str]:
    """Yield the name of the thread, as the simplest synchronous resource does."""
    yield threading.current_thread().name


@pytest.mark.real_clock
@pytest.mark.parametrize(
    "factory",
    [
        plain_values,
        functools.partial(plain_values),
        lambda: plain_values(),  # noqa: PLW0108
        traced(plain_values),
        lambda: iter(ThreadNames()),
    ],
    ids=itertools.count(),
)
async def test_every_plain_kind_of_generator_works_in_a_thread(
    factory: Callable[[], Any],
) -> None:
    """However deep it lies below lambdas and decorators."""
    declared = resource(factory, name="declared")
    async with LifespanDriver(LifespanASGIHandler()):
        assert declared.get() == "declared"


async def test_requirements_can_be_named_by_resource_or_by_name() -> None:
    """Both mean the same, in a list or in any other collection."""
    first = resource(values, name="first")
    second = resource(values, name="second", requires=["first"])
    third = resource(values, name="third", requires=iter([first, second]))
    assert registry.resolve() == {first: (), second: (first,), third: (first, second)}


# Wrong declarations


async def _coroutine() -> int:
    return 1


async def _with_two(app: object, pool: Pool) -> AsyncIterator[Pool]:
    yield pool


async def _with_keyword(*, pool: Pool) -> AsyncIterator[Pool]:
    yield pool


@pytest.mark.parametrize(
    ("factory", "options", "culprit", "remedy"),
    [
        (Pool(), {}, "is an instance", "pass a function that makes it"),
        (_coroutine, {}, "_coroutine is a coroutine function without 'yield'", "Yield the value"),
        (_with_keyword, {}, "_with_keyword takes the parameter 'pool'", "requires=["),
        (_with_two, {}, "_with_two takes the parameters 'app', 'pool'", "requires=["),
        (lambda: Pool(), {}, "needs a name", "name='...'"),  # noqa: PLW0108
        (functools.partial(Pool), {}, "needs a name", "name='...'"),
        (values, {"name": "two words"}, "not 'two words'", "name='...'"),
        (values, {"name": ""}, "not ''", "name='...'"),
        (values, {"name": 5}, "not 5", "name='...'"),
        (values, {"requires": "client"}, "of values is a string", "a list: requires=['client']"),
        (values, {"requires": None}, "requires of values is None", "must be a list of resources"),
        (values, {"requires": 5}, "requires of values is 5", "must be a list of resources"),
        (values, {"require": []}, "no option 'require'", "Did you mean 'requires'?"),
        (values, {"timeout": 5}, "no option 'timeout'", "The options are name, requires, "),
        (values, {"x": 5, "name": "y"}, "no option 'x'. The options", "requires"),
        ("client", {}, "called with the string 'client'", "@resource(name='client')"),
        (values, {"requires": [Pool]}, "values requires <class", "neither a resource nor the name"),
        (values, {"startup_timeout": 0}, "startup_timeout of values is 0", "a positive number"),
        (values, {"shutdown_timeout": "5"}, "_timeout of values is '5'", "a positive number"),
    ],
)
def test_a_wrong_declaration_names_the_culprit_and_the_remedy(
    factory: Any, options: dict[str, Any], culprit: str, remedy: str
) -> None:
    """It fails where it stands, and declares nothing."""
    with pytest.raises(ResourceDeclarationError) as error:
        resource(factory, **options)
    assert culprit in str(error.value)
    assert remedy in str(error.value)
    assert not registry.names()


def test_a_resource_is_not_declared_twice() -> None:
    """A resource is no factory."""
    declared = resource(values)
    with pytest.raises(ResourceDeclarationError, match=r"<Resource values .* is an instance"):
        resource(declared)  # type: ignore[call-overload]


def _one_opens(opened: list[str]) -> None:
    async def good() -> AsyncIterator[None]:
        opened.append("good")
        yield

    resource(good, name="good")


async def test_an_unknown_requirement_names_the_culprit_and_the_remedy() -> None:
    """The startup fails, suggests the likely name, lists the known ones, and opens nothing."""
    opened: list[str] = []
    _one_opens(opened)
    resource(values, name="http_client")
    resource(values, name="catalogue", requires=["http_clinet"])
    with pytest.raises(StartupFailedError) as error:
        await start()
    assert str(error.value) == (
        f"catalogue ({__name__}.values) requires 'http_clinet', and no such resource is declared. "
        f"Did you mean 'http_client'? Declared are: catalogue, good, http_client. "
        f"[lifespan-unknown-resource]"
    )
    assert not opened


async def test_of_many_known_resources_some_are_listed() -> None:
    """The message stays short however many there are, and says how many are left out."""
    for number in range(300):
        resource(values, name=f"resource_{number:03}")
    resource(values, name="catalogue", requires=["resorce_150"])
    with pytest.raises(StartupFailedError) as error:
        await start()
    message = str(error.value)
    assert "Did you mean 'resource_150'?" in message
    assert "resource_007, resource_008, and 291 more. [" in message
    assert len(message) < 500


async def test_a_requirement_that_is_no_longer_declared_is_unknown() -> None:
    """A resource of the same name is not taken for it."""
    forgotten = resource(values, name="zzz")
    registry._declared.clear()
    resource(values, name="zzz")
    resource(values, name="catalogue", requires=[forgotten])
    with pytest.raises(StartupFailedError, match="requires 'zzz', and no such resource"):
        await start()


async def test_a_circle_names_the_culprits_and_the_remedy() -> None:
    """The startup fails, and opens nothing."""
    opened: list[str] = []
    _one_opens(opened)
    resource(values, name="a", requires=["b", "good"])
    resource(values, name="b", requires=["c"])
    resource(values, name="c", requires=["a"])
    with pytest.raises(StartupFailedError) as error:
        await start()
    circle = str(error.value).partition("circle: ")[2].partition(". ")[0].split(" requires ")
    assert circle[0] == circle[-1]
    assert "".join(circle[:-1]) in ("abc", "bca", "cab")
    assert "Remove one of these requirements" in str(error.value)
    assert not opened


@pytest.mark.parametrize("result", [None, Pool, object()])
async def test_a_factory_that_returns_no_context_manager_is_named(result: object) -> None:
    """The startup fails, and names the expected form."""
    resource(lambda: result, name="odd")  # type: ignore[call-overload]
    with pytest.raises(StartupFailedError) as error:
        await start()
    assert "odd failed to start: The resource odd" in str(error.value)
    assert "is no context manager" in str(error.value)
    assert "Yield the value" in str(error.value)


async def test_a_callable_without_a_signature_is_tried() -> None:
    """Some that are written in C have none."""
    resource(dict, name="odd")  # type: ignore[call-overload]
    with pytest.raises(StartupFailedError, match="is no context manager"):
        await start()


async def test_a_coroutine_that_a_factory_returns_is_not_left_unawaited() -> None:
    """No warning follows the error."""
    resource(lambda: _coroutine(), name="odd")  # type: ignore[call-overload]  # noqa: PLW0108
    with pytest.raises(StartupFailedError, match="is no context manager"):
        await start()


async def test_a_generator_that_does_not_yield_is_named() -> None:
    """Python's own words follow the name."""

    @resource
    async def silent() -> AsyncIterator[None]:
        if not silent:
            yield

    with pytest.raises(StartupFailedError, match=r"silent failed to start: .*didn't yield"):
        await start()


async def test_a_generator_that_yields_twice_is_named_and_closed() -> None:
    """When it is stopped, as ``contextlib`` has it."""
    closed: list[bool] = []

    @resource
    async def twice() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match=r"twice failed to stop: .*didn't stop"):
        await driver.shutdown()
    assert closed == [True]
