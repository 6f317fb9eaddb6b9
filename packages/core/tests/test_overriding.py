"""Stand-ins for resources: around blocks, above functions, coroutine functions and test classes."""

from __future__ import annotations

import asyncio
import functools
import unittest
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.test import SimpleTestCase

from django_asgi_lifespan import (
    Resource,
    ResourceDeclarationError,
    ResourceUnavailableError,
    resource,
    run_lifespan,
)

Journal = list[str]


@pytest.fixture
def pool(journal: Journal) -> Resource[str]:
    """A resource that writes down when it opens and closes."""

    @resource
    async def pool() -> AsyncIterator[str]:
        journal.append("opens")
        yield "real"
        journal.append("closes")

    return pool


def is_overridden(pool: Resource[str]) -> bool:
    """Return whether any stand-in is left."""
    try:
        pool.get()
    except ResourceUnavailableError:
        return pool.replacement is not None
    return True


async def test_an_overridden_resource_is_not_started(pool: Resource[str], journal: Journal) -> None:
    """``.get()``, the state and those that require it have the other value."""

    @resource(requires=[pool])
    async def user() -> AsyncIterator[str]:
        yield f"user of {pool.get()}"

    with pool.override("stand-in"):
        async with run_lifespan() as state:
            assert state == {"pool": "stand-in", "user": "user of stand-in"}
            assert pool.get() == "stand-in"
    assert not journal


@pytest.mark.parametrize("value", [None, 0, "", "stand-in"])
def test_overrides_nest_and_end(pool: Resource[str], value: object) -> None:
    """In all threads, without any lifespan, and with any value."""
    with pool.override("outer"):
        with pool.override(value=value):
            assert pool.get() == value
        assert pool.get() == "outer"
    assert not is_overridden(pool)


def test_overrides_may_end_in_any_order(pool: Resource[str]) -> None:
    """As those of two tests that run at the same time. The newest one that is left holds."""
    first, second = pool.override("first"), pool.override("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert pool.get() == "second"
    second.__exit__(None, None, None)
    assert not is_overridden(pool)


# Factories


async def _fake() -> AsyncIterator[str]:
    yield f"made in {asyncio.get_running_loop().is_running()}"


@asynccontextmanager
async def _managed() -> AsyncIterator[str]:
    yield "managed"


def _plain() -> Iterator[str]:
    yield "plain"


@asynccontextmanager
async def _for_application(app: object) -> AsyncIterator[str]:
    yield f"for {app}"


@pytest.mark.real_clock
@pytest.mark.parametrize(
    ("factory", "value"),
    [
        (_fake, "made in True"),
        (_managed, "managed"),
        (_plain, "plain"),
        (_for_application, "for None"),
        (lambda: _fake(), "made in True"),  # noqa: PLW0108
    ],
)
async def test_a_factory_is_opened_in_place_of_the_resource(
    pool: Resource[str], journal: Journal, factory: Callable[[], Any], value: str
) -> None:
    """In the event loop of the lifespan. Those that require it get its value."""

    @resource(requires=[pool])
    async def user() -> AsyncIterator[str]:
        yield f"user of {pool.get()}"

    with pool.override(factory=factory):
        async with run_lifespan() as state:
            assert state == {"pool": value, "user": f"user of {value}"}
            assert pool.get() == value
    assert not journal
    async with run_lifespan():
        assert pool.get() == "real"
    assert journal == ["opens", "closes"]


async def test_a_value_and_a_factory_nest(pool: Resource[str]) -> None:
    """The innermost holds."""
    with pool.override("value"), pool.override(factory=_managed):
        async with run_lifespan():
            assert pool.get() == "managed"
            with pool.override("inner"):
                assert pool.get() == "inner"
            assert pool.get() == "managed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "pool.override() takes either a value or a function that a lifespan opens: "),
        ({"value": 1, "factory": _fake}, "pool.override() takes either a value or a function"),
        ({"factory": "fake"}, "resource() was called with the string 'fake'"),
        ({"factory": lambda url: url}, "takes the parameter 'url'"),
    ],
)
def test_a_wrong_override_is_refused(pool: Resource[str], options: Any, message: str) -> None:
    """Before anything stands in."""
    with pytest.raises(ResourceDeclarationError) as error:
        pool.override(**options)
    assert message in str(error.value)
    assert not is_overridden(pool)


# Decorators


def test_above_a_function_it_holds_in_its_body(pool: Resource[str]) -> None:
    """However often it is called, and if it fails."""

    @pool.override("stand-in")
    def test(given: int) -> str:
        """Keep the docstring."""
        return f"{pool.get()} {1 // given}"

    assert test(1) == test(given=1) == "stand-in 1"
    with pytest.raises(ZeroDivisionError):
        test(0)
    assert test.__doc__ == "Keep the docstring."
    assert not is_overridden(pool)


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap, as many decorators do: the result does not show that it is a coroutine function."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize("decorator", [lambda function: function, traced])
async def test_above_a_coroutine_function_it_holds_in_its_body(
    pool: Resource[str], decorator: Callable[[Any], Any]
) -> None:
    """To its end, although a call of it returns at once."""

    @pool.override("stand-in")
    @decorator
    async def test(given: int) -> str:
        await asyncio.sleep(0.1)
        return f"{pool.get()} {1 // given}"

    result: Awaitable[str] = test(1)
    assert not is_overridden(pool)
    assert await result == "stand-in 1"
    with pytest.raises(ZeroDivisionError):
        await test(0)
    assert not is_overridden(pool)


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    """Run the tests of a class."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


@pytest.mark.parametrize("base", [SimpleTestCase, unittest.IsolatedAsyncioTestCase])
def test_above_a_test_class_it_holds_for_all_of_it(
    pool: Resource[str], journal: Journal, base: type[unittest.TestCase]
) -> None:
    """Its set-up and clean-up, synchronous and asynchronous tests, and those of classes below."""

    @pool.override("stand-in")
    class Case(base):  # type: ignore[valid-type, misc]
        @classmethod
        def setUpClass(cls) -> None:
            super().setUpClass()
            journal.append(f"set up {pool.get()}")

        @classmethod
        def tearDownClass(cls) -> None:
            journal.append(f"tear down {pool.get()}")
            super().tearDownClass()

        def test_a(self) -> None:
            journal.append(f"a {pool.get()}")

    class Below(Case):
        async def test_b(self) -> None:
            journal.append(f"b {pool.get()}")

    assert run(Case).wasSuccessful()
    assert journal == ["set up stand-in", "a stand-in", "tear down stand-in"]
    assert not is_overridden(pool)
    result = run(Below)
    assert result.wasSuccessful()
    assert result.testsRun == 2
    assert "b stand-in" in journal
    assert not is_overridden(pool)


def test_a_test_class_that_fails_to_set_up_ends_it(pool: Resource[str]) -> None:
    """Other classes have the resource again."""

    @pool.override("stand-in")
    class Case(unittest.TestCase):
        @classmethod
        def setUpClass(cls) -> None:
            raise ValueError("no set-up")

        def test(self) -> None:
            """Is not run."""

    assert len(run(Case).errors) == 1
    assert not is_overridden(pool)


async def test_above_a_class_of_pytest_it_holds_in_each_test(pool: Resource[str]) -> None:
    """Inherited ones too. Other methods are left alone."""

    class Base:
        test_data = ("not", "a", "test")

        def test_inherited(self) -> str:
            return pool.get()

    @pool.override("stand-in")
    class TestPool(Base):
        async def test_async(self) -> str:
            return pool.get()

        def helper(self) -> bool:
            return is_overridden(pool)

    tests = TestPool()
    assert tests.test_inherited() == "stand-in"
    assert await tests.test_async() == "stand-in"
    assert not tests.helper()
    assert tests.test_data == Base.test_data


class _NoTests:
    """A class that pytest finds nothing in."""


def _generator() -> Iterator[None]:
    yield


async def _async_generator() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    "decorated", [_NoTests, _generator, _async_generator, classmethod(print), "a string"]
)
def test_above_anything_else_it_is_refused(pool: Resource[str], decorated: Any) -> None:
    """A stand-in that does not hold there would make a test pass that tests something else."""
    with pytest.raises(ResourceDeclarationError) as error:
        pool.override("stand-in")(decorated)
    assert "pool.override() " in str(error.value)
    assert "functions, coroutine functions and test classes" in str(error.value)
