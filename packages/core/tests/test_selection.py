"""Lifespans that start a part of the resources: ``only=[...]``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from django_asgi_lifespan import (
    Resource,
    ResourceUnavailableError,
    StartupFailedError,
    asgi_shutdown,
    asgi_startup,
    asgi_stopping,
    get_state,
    resource,
    run_lifespan,
    run_lifespan_sync,
    stopping,
)
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.resources import registry

Journal = list[str]


def declare(journal: Journal) -> dict[str, Resource[str]]:
    """Declare ``d``, which requires ``b`` and ``c``, which require ``a``, and ``e`` alone."""
    declared: dict[str, Resource[str]] = {}
    for name, requires in {"a": "", "b": "a", "c": "a", "d": "bc", "e": ""}.items():

        async def opened(name: str = name) -> AsyncIterator[str]:
            journal.append(f"{name} opens")
            yield f"the {name}"
            journal.append(f"{name} closes")

        declared[name] = resource(opened, name=name, requires=[*requires])
    return declared


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    ("only", "expected"), [("b", "ab"), ("bc", "abc"), ("cae", "ace"), ("d", "abcd"), ("", "")]
)
async def test_a_lifespan_starts_these_resources_and_those_that_they_require(
    journal: Journal, only: str, expected: str, *, by_name: bool
) -> None:
    """No matter whether they are named, or in which order."""
    declared = declare(journal)
    async with run_lifespan(only=only_list(declared, only, by_name=by_name)) as state:
        assert state == {name: f"the {name}" for name in expected}
        assert get_state() is state
        assert [declared[name].get() for name in expected] == [f"the {each}" for each in expected]
        assert sorted(journal) == [f"{name} opens" for name in expected]
    assert sorted(journal[len(expected) :]) == [f"{name} closes" for name in expected]


def only_list(
    declared: dict[str, Resource[str]], names: str, *, by_name: bool
) -> list[Resource[Any] | str]:
    """Return the resources of these names, or the names."""
    return [name if by_name else declared[name] for name in names]


def test_sync_code_can_have_a_part_as_well(journal: Journal) -> None:
    """A command that needs one client does not start the consumers."""
    e = declare(journal)["e"]
    with run_lifespan_sync(only=[e]) as running:
        assert running.state == {"e": "the e"}
        assert e.get() == "the e"
    assert journal == ["e opens", "e closes"]


async def test_a_resource_that_was_left_out_says_so(journal: Journal) -> None:
    """With the line to write."""
    declared = declare(journal)
    async with run_lifespan(only=["e"]):
        with pytest.raises(ResourceUnavailableError) as refusal:
            declared["b"].get()
    assert str(refusal.value) == (
        "b is not available: this lifespan was started with only=[...], and neither names it nor "
        "starts a resource that requires it. Add it: only=[..., b]. [lifespan-left-out]"
    )


async def test_nothing_else_starts(journal: Journal) -> None:
    """Receivers and the managers of 0.5 may need the resources that were left out."""
    declare(journal)
    for signal in (asgi_startup, asgi_stopping, asgi_shutdown):
        signal.connect(lambda: journal.append("a signal"))
    register_lifespan_manager(context_manager=manager)
    async with run_lifespan(only=["a"]):
        pass
    assert journal == ["a opens", "a closes"]


def manager() -> Any:
    """Fail."""
    raise AssertionError


async def test_the_end_is_announced(journal: Journal) -> None:
    """To code that waits for it."""

    @resource
    async def waiting() -> AsyncIterator[None]:
        yield
        await stopping()
        journal.append("was told")

    async with run_lifespan(only=[waiting]):
        pass
    assert journal == ["was told"]


async def test_a_stand_in_counts_as_the_resource(journal: Journal) -> None:
    """With a value nothing starts in its place, nor the resources that it requires."""
    declared = declare(journal)
    with declared["b"].override("fake"):
        async with run_lifespan(only=[declared["b"]]) as state:
            assert state == {"b": "fake"}
            assert declared["b"].get() == "fake"
    assert journal == []


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("a", "only='a' must be a list: only=['a']. [lifespan-list]"),
        (
            ["aa"],
            (
                "only=[...] has 'aa', and no such resource is declared. Did you mean 'a'? "
                "Declared are: a, b, c, d, e. [lifespan-unknown-resource]"
            ),
        ),
        (
            [1],
            (
                "only=[...] has 1, and no such resource is declared. Declared are: a, b, c, d, e. "
                "[lifespan-unknown-resource]"
            ),
        ),
    ],
)
async def test_a_wrong_list_fails_the_startup(journal: Journal, only: Any, message: str) -> None:
    """With the remedy."""
    declare(journal)
    with pytest.raises(StartupFailedError) as failure:
        async with run_lifespan(only=only):
            pass
    assert str(failure.value) == message
    assert journal == []


async def test_a_resource_in_place_of_a_list_fails_the_startup(journal: Journal) -> None:
    """As a string does."""
    only: Any = declare(journal)["a"]
    with pytest.raises(StartupFailedError, match=r"^only=a must be a list: only=\[a\]\. "):
        async with run_lifespan(only=only):
            pass


async def test_a_resource_that_is_not_declared_fails_the_startup(journal: Journal) -> None:
    """Even if one of its name is."""
    one = declare(journal)["a"]
    registry._declared.clear()
    declare(journal)
    with pytest.raises(StartupFailedError, match=r"only=.* has 'a', and no such resource"):
        async with run_lifespan(only=[one]):
            pass
