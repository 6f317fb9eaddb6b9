"""The Django signals, and the arguments of their receivers."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from django.dispatch import Signal, receiver

from contract.helpers import SIGNALS, Journal, Managed, manager, messages
from django_asgi_lifespan import events
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_lifespan, asgi_shutdown, asgi_startup
from django_asgi_lifespan.types import State


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
def test_the_signals_are_signals_of_django(signal: Signal, journal: Journal) -> None:
    """Django's decorator connects to them, and they can be sent by hand."""

    @receiver(signal)
    def listen(**_: Any) -> str:
        journal.append("called")
        return "answer"

    assert isinstance(signal, Signal)
    assert signal.has_listeners()
    assert signal.send(sender=None) == [(listen, "answer")]
    assert signal.disconnect(listen)
    assert journal == ["called"]


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_receivers_get_signal_sender_scope_and_state(signal: Signal) -> None:
    """Async and sync ones, each called once a lifespan, and their results are ignored."""
    calls: list[dict[str, Any]] = []
    result = object() if signal is not asgi_lifespan else None

    async def listen(**arguments: Any) -> Any:
        calls.append(arguments)
        return result

    def listen_sync(**arguments: Any) -> Any:
        calls.append(arguments)
        return result

    signal.connect(listen)
    signal.connect(listen_sync)
    handler = LifespanASGIHandler()
    for lifespans in (1, 2):
        scope: dict[str, Any] = {"type": "lifespan", "state": {"server": "its own"}}
        sent = await messages(handler, scope)
        assert [message["type"].split(".")[-1] for message in sent] == ["complete", "complete"]
        assert len(calls) == 2 * lifespans
    for call in calls[-2:]:
        assert set(call) == {"signal", "sender", "scope", "state"}
        assert call["signal"] is signal
        assert call["sender"] is events.LifespanSender
        assert call["scope"] is scope
        assert call["state"] == {"server": "its own"}


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", [asgi_startup, asgi_shutdown], ids=["startup", "shutdown"])
async def test_receivers_of_startup_and_shutdown_get_the_filled_state(
    signal: Signal, journal: Journal
) -> None:
    """With the values that the managers yielded, and they are still open."""
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))

    async def listen(state: State, **_: Any) -> None:
        journal.append(f"receiver with {state['a']}")

    def listen_sync(state: State, **_: Any) -> None:
        journal.append(f"sync receiver with {state['a']}")

    signal.connect(listen)
    signal.connect(listen_sync)
    await messages(LifespanASGIHandler())
    assert journal == ["a opens", "receiver with 1", "sync receiver with 1", "a closes"]


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_receivers_may_take_no_arguments(
    signal: Signal, journal: Journal, settings: Any
) -> None:
    """Those of the original quickstart do not, and Django refuses them in debug mode."""
    settings.DEBUG = True

    async def create_client() -> None:
        journal.append("async")

    def create_client_sync() -> None:
        journal.append("sync")

    signal.connect(create_client)
    signal.connect(create_client_sync)
    await messages(LifespanASGIHandler())
    assert journal == ["async", "sync"]


@pytest.mark.parametrize("weak", [None, True, False])
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_receivers_are_held_strongly_unless_weak_is_given(
    signal: Signal, weak: bool | None, journal: Journal
) -> None:
    """A function that nobody else holds is gone only if that was asked for."""

    async def listen(**_: Any) -> None:
        journal.append("called")

    signal.connect(listen, **({} if weak is None else {"weak": weak}))
    del listen
    gc.collect()
    await messages(LifespanASGIHandler())
    assert journal == ([] if weak else ["called"])


async def test_the_context_manager_that_a_receiver_returns_is_entered(journal: Journal) -> None:
    """Receivers of ``asgi_lifespan`` return its factory. Its value goes into the state."""

    async def listen(**_: Any) -> Callable[[], Managed]:
        return manager(journal, "a", a=1)

    asgi_lifespan.connect(listen)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert journal == ["a opens"]
        assert state == {"a": 1}
    assert journal == ["a opens", "a closes"]
