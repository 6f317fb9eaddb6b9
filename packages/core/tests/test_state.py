"""Where ``.get()`` and ``get_state()`` answer, and their errors where they cannot."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from django_asgi_lifespan import (
    Resource,
    ResourceUnavailableError,
    StartupFailedError,
    asgi_startup,
    get_state,
    places,
    resource,
)
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.filling import fill_state
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import Lifespan
from virtual_clock import VirtualClockLoop


def declare(name: str, **options: Any) -> Resource[str]:
    """Declare a resource with a value that tells its name."""

    async def factory() -> AsyncIterator[str]:
        yield f"value of {name}"

    return resource(factory, name=name, **options)


def driver() -> LifespanDriver:
    """Return a lifespan of everything that is declared."""
    return LifespanDriver(LifespanASGIHandler())


def refusal(ask: Callable[[], object]) -> str:
    """Return the text of the error that asking raises."""
    with pytest.raises(ResourceUnavailableError) as error:
        ask()
    return str(error.value)


async def test_get_returns_what_the_resource_yielded() -> None:
    """In the loop of the lifespan."""
    a = declare("a")
    async with driver() as mirror:
        assert a.get() == get_state()["a"] == mirror["a"] == "value of a"


@pytest.mark.real_clock
async def test_a_thread_without_a_loop_gets_from_the_only_lifespan() -> None:
    """As in sync views, which Django runs in a thread."""
    a = declare("a")
    async with driver():
        assert await sync_to_async(a.get)() == "value of a"
        assert (await sync_to_async(get_state)())["a"] == "value of a"
        assert await asyncio.to_thread(a.get) == "value of a"


@pytest.mark.real_clock
async def test_async_code_called_from_a_sync_view_gets_it_too() -> None:
    """Asgiref runs it in the loop of the lifespan."""
    a = declare("a")

    async def ask() -> str:
        return a.get()

    async with driver():
        assert await sync_to_async(async_to_sync(ask))() == "value of a"


async def test_without_a_lifespan_it_says_that_none_ran() -> None:
    """And the likely reason."""
    a = declare("a")
    for text in (refusal(a.get), refusal(get_state)):
        assert "no lifespan ran in this process" in text
        assert "In a test, run one around it" in text
    assert refusal(a.get).startswith("a is not available: ")
    assert refusal(get_state).startswith("The state is not available: ")


def test_without_a_lifespan_a_thread_is_told_the_same() -> None:
    """No loop, no lifespan."""
    assert "no lifespan ran in this process" in refusal(declare("a").get)


async def test_after_a_failed_start_it_says_what_failed() -> None:
    """With the message that the server got."""
    a = declare("a")

    @resource
    async def broken() -> AsyncIterator[None]:
        raise ValueError("no luck")
        yield

    with pytest.raises(StartupFailedError):
        await driver().startup()
    assert refusal(a.get) == (
        "a is not available: the lifespan failed to start: "
        "broken failed to start: ValueError: no luck. The log has the traceback. Remove the cause, "
        "and start again. [lifespan-failed]"
    )


async def test_after_the_end_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use after close is told from use before open. A test may never have had a lifespan."""
    a = declare("a")
    async with driver():
        pass
    message = (
        "a is not available: the lifespan has ended, and everything that it had opened is closed. "
        "A task or thread that uses it must end before: start it in a resource, and end it after "
        "the yield."
    )
    assert refusal(a.get) == f"{message} {places.REMEDIES['test']} [lifespan-ended]"
    monkeypatch.setattr(places, "place_of", lambda *_: "unknown")
    assert refusal(a.get) == f"{message} [lifespan-ended]"


async def test_while_starting_it_says_what_to_declare() -> None:
    """To code that runs beside the startup, in the loop and in a thread."""
    a = declare("a")

    @resource
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        yield

    starting = driver()
    task = asyncio.ensure_future(starting.startup())
    await asyncio.sleep(0.5)
    for ask in (a.get, get_state):
        assert "the lifespan is still starting" in refusal(ask)
        assert "requires=[...]" in refusal(ask)
        assert "the lifespan is still starting" in _in_thread(lambda ask=ask: refusal(ask))
    await task
    await starting.shutdown()


def _in_thread(function: Callable[[], str]) -> str:
    """Return the result of *function* in a thread of its own, with an empty context."""
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


async def test_a_resource_declared_after_the_startup_began_is_told_where_it_belongs() -> None:
    """Such as one in a module that only a view imports."""
    async with driver():
        late = declare("late")
        assert "declared after the startup of this lifespan had begun" in refusal(late.get)
        assert "lifespan.py" in refusal(late.get)


async def test_in_another_loop_it_says_so() -> None:
    """A resource that was opened in one loop works only there."""
    a = declare("a")

    async def ask() -> str:
        return refusal(a.get)

    def elsewhere() -> str:
        loop = VirtualClockLoop()
        try:
            return loop.run_until_complete(ask())
        finally:
            loop.close()

    async with driver():
        assert "the lifespan runs in another event loop" in _in_thread(elsewhere)


async def test_a_thread_beside_several_lifespans_is_told_their_names() -> None:
    """Which one it means cannot be known."""
    a = declare("a")
    async with driver(), driver():
        text = _in_thread(lambda: refusal(a.get))
        assert "2 lifespans run in this process" in text
        assert text.count("running lifespan 0x") == 2


async def test_a_stopped_resource_is_told_from_one_that_died() -> None:
    """While the rest of the lifespan is still ending."""
    a = declare("a", requires=["b"])
    seen = []

    @resource
    async def b() -> AsyncIterator[None]:
        yield
        outside = contextvars.Context()
        seen.append(outside.run(refusal, a.get))

    async with driver():
        pass
    [message] = seen
    assert message == (
        "a is not available: it is stopped already, because the lifespan is ending. Code that "
        "needs it until then belongs in a resource that requires it. [lifespan-stopped]"
    )


# Inside a resource


async def test_a_resource_gets_what_it_requires_directly_or_through_others() -> None:
    """At its start, at its end, and in between."""
    a = declare("a")
    b = declare("b", requires=[a])
    seen = []

    @resource(requires=[b])
    async def c() -> AsyncIterator[None]:
        seen.append(a.get() + b.get())
        yield
        seen.append(a.get() + b.get())

    async with driver():
        pass
    assert seen == ["value of avalue of b"] * 2


async def test_what_is_required_in_two_ways_can_be_had_once() -> None:
    """A diamond of requirements."""
    a = declare("a")
    left, right = declare("left", requires=[a]), declare("right", requires=[a])
    seen = []

    @resource(requires=[left, right])
    async def both() -> AsyncIterator[None]:
        seen.append(a.get())
        yield

    async with driver():
        pass
    assert seen == ["value of a"]


async def test_a_resource_does_not_get_what_it_does_not_require() -> None:
    """Also if that happens to run already. The error names the missing declaration."""
    a = declare("a")
    seen = []

    @resource
    async def b() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        seen.append(refusal(a.get))
        yield

    async with driver():
        pass
    assert seen == [
        (
            "a is not available inside b, which does not require it, so it may not have started "
            "or may have stopped. Declare it: @resource(requires=[a]) on b. "
            "[lifespan-not-required]"
        )
    ]


@pytest.mark.real_clock
async def test_the_rule_follows_the_context_into_tasks_and_threads() -> None:
    """Those that a resource starts may ask for its requirements, at any time."""
    a = declare("a")
    b = declare("b")
    seen: list[str] = []

    async def background() -> None:
        seen.append(a.get())
        seen.append(refusal(b.get))
        seen.append(await asyncio.to_thread(a.get))
        seen.append(await asyncio.to_thread(refusal, b.get))

    tasks = []

    @resource(requires=[a])
    async def c() -> AsyncIterator[None]:
        tasks.append(asyncio.ensure_future(background()))
        yield

    async with driver():
        await asyncio.wait(tasks)
    assert seen[0] == seen[2] == "value of a"
    assert "b is not available inside c" in seen[1]
    assert seen[1] == seen[3]


async def test_a_resource_cannot_look_at_a_state_that_is_not_filled() -> None:
    """Its content would depend on timing."""
    seen = []

    @resource
    async def c() -> AsyncIterator[None]:
        seen.append(refusal(get_state))
        yield

    async with driver():
        pass
    assert "The state is not available yet" in seen[0]
    assert "requires=[...]" in seen[0]


async def test_what_a_resource_requires_can_die_before_it() -> None:
    """It is told so, as everybody else is."""
    tasks: list[Any] = []

    @resource
    async def a() -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        yield

    seen = []

    @resource(requires=[a])
    async def b() -> AsyncIterator[None]:
        yield
        seen.append(refusal(a.get))

    async with driver():
        tasks[0].cancel()
        await asyncio.sleep(1)
    [message] = seen
    assert message == (
        "a is not available: it died while it was running (CancelledError). The log has the "
        "traceback. Remove the cause, and restart the program. [lifespan-died]"
    )


async def test_two_lifespans_keep_the_views_of_their_resources_apart() -> None:
    """A resource of the older lifespan gets from the older, also while the newer runs."""
    numbers = iter((1, 2))

    @resource
    async def number() -> AsyncIterator[int]:
        yield next(numbers)

    seen = []

    @resource(requires=[number])
    async def user() -> AsyncIterator[None]:
        opened = number.get()
        yield
        seen.append((opened, number.get()))

    first, second = driver(), driver()
    await first.startup()
    await second.startup()
    await first.shutdown()
    await second.shutdown()
    assert seen == [(1, 1), (2, 2)]


async def test_receivers_get_from_their_own_lifespan() -> None:
    """Before it is the newest of the loop."""
    numbers = iter((1, 2))

    @resource
    async def number() -> AsyncIterator[int]:
        yield next(numbers)

    seen = []

    async def receiver(**_: Any) -> None:
        seen.append((number.get(), get_state()["number"]))

    asgi_startup.connect(receiver)
    async with driver(), driver():
        pass
    assert seen == [(1, 1), (2, 2)]


async def test_a_resource_that_died_before_the_state_is_filled_is_not_in_it() -> None:
    """Its death fails the startup."""
    lifespan = Lifespan()
    lifespan.resources = [declare("a"), declare("b")]
    lifespan.values[lifespan.resources[1]] = "value of b"
    fill_state(lifespan)
    assert lifespan.state == {"b": "value of b"}
