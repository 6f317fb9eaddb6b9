"""The deprecated names still do their work."""

from __future__ import annotations

from typing import Any

import pytest
from django.dispatch import Signal

from contract.helpers import Journal, fail, manager
from django_asgi_lifespan import compat, dispatcher, errors, events, register
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.signals import asgi_lifespan, asgi_shutdown, asgi_startup


def test_the_errors_form_a_hierarchy() -> None:
    """The base catches the other."""
    assert issubclass(errors.MissingScopeStateError, errors.BaseLifespanHandlerError)
    assert issubclass(errors.BaseLifespanHandlerError, Exception)


async def test_the_dispatcher_starts_and_stops(journal: Journal) -> None:
    """Without any messages. The state is filled in place, and it can be used again."""
    register_lifespan_manager(context_manager=manager(journal, "a", a=1))

    async def started(**_: Any) -> None:
        journal.append("startup")

    async def stopped(**_: Any) -> None:
        journal.append("shutdown")

    asgi_startup.connect(started)
    asgi_shutdown.connect(stopped)
    deprecated = dispatcher.LifespanEventDispatcher()
    for _ in range(2):
        state: dict[str, Any] = {}
        scope = {"type": "lifespan", "state": state}
        journal.clear()
        assert await deprecated.startup(scope) is None  # type: ignore[func-returns-value]
        assert journal == ["a opens", "startup"]
        assert state == {"a": 1}
        assert await deprecated.shutdown(scope) is None  # type: ignore[func-returns-value]
        assert journal == ["a opens", "startup", "shutdown", "a closes"]


async def test_the_dispatcher_raises_what_failed(journal: Journal) -> None:
    """With the text of the exception, which is the cause or the exception itself."""
    asgi_startup.connect(fail)
    with pytest.raises(Exception, match="no luck"):
        await dispatcher.LifespanEventDispatcher().startup({"type": "lifespan", "state": {}})


async def test_the_dispatcher_can_stop_what_it_did_not_start(journal: Journal) -> None:
    """The receivers of ``asgi_shutdown`` are called: tests of them do no more than this."""

    async def stopped(**_: Any) -> None:
        journal.append("shutdown")

    asgi_shutdown.connect(stopped)
    await dispatcher.LifespanEventDispatcher().shutdown({"type": "lifespan", "state": {}})
    assert journal == ["shutdown"]


@pytest.mark.real_clock
@pytest.mark.parametrize("signal", [asgi_startup, Signal()], ids=["ours", "djangos"])
async def test_a_signal_can_be_sent_with_a_scope(signal: Signal) -> None:
    """To async and sync receivers, of any signal. Arguments are by keyword."""
    calls: list[dict[str, Any]] = []

    async def listen(**arguments: Any) -> None:
        calls.append(arguments)

    def listen_sync(**arguments: Any) -> None:
        calls.append(arguments)

    signal.connect(listen)
    signal.connect(listen_sync)
    scope = {"type": "lifespan"}
    await events.send_lifespan_signal_compat(signal=signal, scope=scope)
    assert len(calls) == 2
    for call in calls:
        assert call == {"signal": signal, "sender": events.LifespanSender, "scope": scope}


async def test_the_context_manager_factories_of_a_signal_can_be_collected(
    journal: Journal,
) -> None:
    """They are returned in the order of the receivers, not entered."""
    factories = [manager(journal, "a"), manager(journal, "b")]
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "state": state}
    calls: list[dict[str, Any]] = []

    async def first(**arguments: Any) -> Any:
        calls.append(arguments)
        return factories[0]

    async def second(**_: Any) -> Any:
        return factories[1]

    asgi_lifespan.connect(first)
    asgi_lifespan.connect(second)
    assert isinstance(asgi_lifespan, compat.CompatAsyncSignal)
    found = await events.send_lifespan_signal_collecting_contexts(asgi_lifespan, scope)
    assert found == factories
    assert not journal
    [call] = calls
    assert call["signal"] is asgi_lifespan
    assert call["sender"] is events.LifespanSender
    assert call["scope"] is scope
    assert call["state"] is state


async def test_without_a_state_nothing_can_be_collected() -> None:
    """The error has a name of its own."""
    with pytest.raises(errors.MissingScopeStateError):
        await events.send_lifespan_signal_collecting_contexts(asgi_lifespan, {"type": "lifespan"})


async def test_the_signal_class_calls_its_async_receivers_only() -> None:
    """It returns each with its answer. Without receivers, it returns an empty list."""
    signal = compat.CompatAsyncSignal()
    assert isinstance(signal, Signal)
    assert await signal.compat_asend_async_only("sender", word="hello") == []

    async def listen(**arguments: Any) -> dict[str, Any]:
        return arguments

    def listen_sync(**_: Any) -> None:
        raise AssertionError

    signal.connect(listen)
    signal.connect(listen_sync)
    assert await signal.compat_asend_async_only("sender", word="hello") == [
        (listen, {"signal": signal, "sender": "sender", "word": "hello"})
    ]


async def test_the_wrapper_makes_a_receiver_of_a_manager(journal: Journal) -> None:
    """Connected to ``asgi_lifespan``, it has the manager entered."""
    factory = manager(journal, "a", a=1)
    wrapper = register.LifespanContextManagerSignalWrapper(factory)
    assert wrapper.context_manager is factory
    assert wrapper == register.LifespanContextManagerSignalWrapper(context_manager=factory)
    assert await wrapper.receiver(anything="at all") is factory
    asgi_lifespan.connect(wrapper.receiver, sender=None, weak=False, dispatch_uid=None)
    async with LifespanDriver(LifespanASGIHandler()) as state:
        assert state == {"a": 1}
    assert journal == ["a opens", "a closes"]
