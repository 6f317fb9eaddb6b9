"""Managers, registered by function or returned by receivers."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import pytest

from contract.helpers import Journal, Managed, manager, messages
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_lifespan
from django_asgi_lifespan.types import LifespanManager, State


async def test_a_manager_registered_twice_is_entered_twice(journal: Journal) -> None:
    """Each registration counts, and each can be taken back alone, once."""
    factory = manager(journal, "a")
    unregister = register_lifespan_manager(context_manager=factory)
    register_lifespan_manager(context_manager=factory)
    await messages(LifespanASGIHandler())
    assert journal == ["a opens", "a opens", "a closes", "a closes"]
    journal.clear()
    unregister()
    unregister()
    await messages(LifespanASGIHandler())
    assert journal == ["a opens", "a closes"]


async def test_a_manager_may_be_a_class(journal: Journal) -> None:
    """Any function that returns an async context manager will do."""

    class Client:
        async def __aenter__(self) -> State:
            journal.append("opens")
            return {"client": self}

        async def __aexit__(self, *_: object) -> None:
            journal.append("closes")

    register_lifespan_manager(context_manager=Client)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert isinstance(state["client"], Client)
    assert journal == ["opens", "closes"]


async def test_of_two_managers_with_one_key_the_first_registered_wins(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names both."""

    @contextlib.asynccontextmanager
    async def first() -> LifespanManager:
        yield {"key": "first"}

    @contextlib.asynccontextmanager
    async def second() -> LifespanManager:
        yield {"key": "second", "other": "second"}

    register_lifespan_manager(context_manager=first)
    register_lifespan_manager(context_manager=second)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert state == {"key": "first", "other": "second"}
    [warning] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert first.__qualname__ in warning
    assert second.__qualname__ in warning


@pytest.mark.parametrize("first", ["manager", "receiver"])
async def test_a_manager_and_a_receivers_manager_win_by_registration_too(
    first: str, journal: Journal
) -> None:
    """``register_lifespan_manager()`` and ``asgi_lifespan`` are two ways to one list."""

    async def listen(**_: Any) -> Callable[[], Managed]:
        return manager(journal, "receiver", key="receiver")

    if first == "receiver":
        asgi_lifespan.connect(listen)
    register_lifespan_manager(context_manager=manager(journal, "manager", key="manager"))
    if first == "manager":
        asgi_lifespan.connect(listen)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert state == {"key": first}


def test_managers_can_be_annotated_as_before() -> None:
    """A manager is an async generator of states, a state any mapping that can be changed."""

    async def annotated() -> LifespanManager:
        state: State = {}
        yield state

    assert inspect.isasyncgenfunction(annotated)
    assert issubclass(cast("Any", LifespanManager).__origin__, AsyncGenerator)
    assert issubclass(dict, cast("Any", State).__origin__)
