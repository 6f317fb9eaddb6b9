"""The checks of resources: limited, cached, one at a time, and told in the log when they change."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from django_asgi_lifespan import ResourceDeclarationError, resource, run_lifespan
from django_asgi_lifespan.health import CACHED, LIMIT, failures
from django_asgi_lifespan.lifespans import lifespans


async def _client() -> AsyncIterator[str]:
    yield "client"


def _sync_client() -> Iterator[str]:
    yield "client"


async def found() -> dict[str, str]:
    """Return the reasons of the checks that fail in the running lifespan."""
    [lifespan] = lifespans.anywhere
    return {**await failures(lifespan)}


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the log about checks."""
    return [line for line in caplog.messages if line.startswith("The check")]


@pytest.mark.real_clock
@pytest.mark.parametrize("factory", [_client, _sync_client])
async def test_a_check_gets_the_open_object(factory: Callable[[], Any]) -> None:
    """A coroutine function runs in the event loop, a plain one in a thread.

    That one may return an awaitable, as a lambda does that calls an async method.
    """
    seen: list[tuple[str, bool]] = []
    here = threading.current_thread()

    def note(value: str) -> None:
        seen.append((value, threading.current_thread() is here))

    async def check(value: str) -> None:
        note(value)

    def plain(value: str) -> Any:
        note(value)
        return check(value)

    resource(factory, name="one", check=check)
    resource(factory, name="other", check=plain)
    resource(factory, name="another", check=lambda value: value == "client")
    async with run_lifespan():
        assert await found() == {}
    assert sorted(seen) == [("client", False), ("client", True), ("client", True)]


@pytest.mark.parametrize("given", [0, "ping", object()])
def test_a_check_is_a_function(given: Any) -> None:
    """The error shows one."""
    with pytest.raises(ResourceDeclarationError, match=r"check=lambda client: client\.ping\(\)"):
        resource(_client, name="client", check=given)


@pytest.mark.parametrize("answer", [True, None, 0, "PONG"])
async def test_only_false_is_no(answer: object) -> None:
    """Most functions that one would call return something else."""
    resource(_client, name="client", check=_answering(answer))
    async with run_lifespan():
        assert await found() == {}


def _answering(answer: object) -> Callable[[Any], Any]:
    async def check(value: object) -> object:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return check


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (False, "the check returned False"),
        (OSError("no route"), "OSError: no route"),
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
async def test_a_check_that_says_no_has_a_reason(answer: object, reason: str) -> None:
    """Whatever it raises, the worker goes on."""
    resource(_client, name="client", check=_answering(answer))
    resource(_client, name="other", check=_answering(True))
    async with run_lifespan():
        assert await found() == {"client": reason}


async def test_a_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """With its reason, which may change meanwhile."""
    answers: list[Any] = [True, OSError("gone"), OSError("still"), False, True, True]

    async def check(value: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    resource(_client, name="client", check=check)
    caplog.set_level(logging.INFO)
    async with run_lifespan():
        while answers:
            await found()
            await asyncio.sleep(CACHED)
    assert told(caplog) == [
        "The check of client fails: OSError: gone [lifespan-check-fails]",
        "The check of client passes again",
    ]


async def test_the_results_are_kept_for_a_second() -> None:
    """However many ask, and also those that ask at the same time."""
    calls = 0

    async def check(value: object) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(LIMIT / 2)

    resource(_client, name="client", check=check)
    async with run_lifespan():
        assert await asyncio.gather(found(), found(), found()) == [{}, {}, {}]
        await asyncio.sleep(CACHED * 0.9)
        await found()
        assert calls == 1
        await asyncio.sleep(CACHED * 0.1)
        await found()
        assert calls == 2


async def test_a_client_that_leaves_takes_nothing_along() -> None:
    """Others wait for the same checks."""
    resource(_client, name="client", check=sleeping(LIMIT / 2))
    async with run_lifespan():
        first, second = asyncio.create_task(found()), asyncio.create_task(found())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == {}
        assert first.cancelled()


def sleeping(seconds: float) -> Callable[[Any], Any]:
    """Return a check that takes so long."""

    async def check(value: object) -> None:
        await asyncio.sleep(seconds)

    return check


async def test_a_check_that_hangs_is_given_up_after_a_second() -> None:
    """And cancelled. The others have their results."""
    loop = asyncio.get_running_loop()
    resource(_client, name="client", check=sleeping(60))
    resource(_client, name="other", check=sleeping(LIMIT / 2))
    async with run_lifespan():
        begun = loop.time()
        assert await found() == {"client": "no answer within 1 s"}
        assert loop.time() - begun == LIMIT
        await asyncio.sleep(CACHED)
        assert await found() == {"client": "no answer within 1 s"}
        assert loop.time() - begun == 2 * LIMIT + CACHED
        await asyncio.sleep(0)


async def test_a_check_that_does_not_end_is_not_made_anew() -> None:
    """It would pile up. When it has ended at last, it is made again."""
    calls = 0
    end = asyncio.Event()

    async def check(value: object) -> None:
        nonlocal calls
        calls += 1
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    resource(_client, name="client", check=check)
    async with run_lifespan():
        for _ in range(3):
            assert await found() == {"client": "no answer within 1 s"}
            await asyncio.sleep(CACHED)
        assert calls == 1
        end.set()
        await asyncio.sleep(0)
        assert await found() == {}
        assert calls == 2


@pytest.mark.real_clock
async def test_a_thread_that_hangs_is_given_up_as_well() -> None:
    """It does not hold up the event loop, nor the end of the lifespan."""
    end = threading.Event()
    resource(_sync_client, name="client", check=lambda value: end.wait(60))
    async with run_lifespan():
        assert await found() == {"client": "no answer within 1 s"}
    end.set()


async def test_a_resource_that_died_fails_its_check() -> None:
    """There is no object to check, and nothing is opened."""
    opened = 0

    async def mortal() -> AsyncIterator[str]:
        nonlocal opened
        opened += 1
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(5, task.cancel)
        yield "client"

    resource(mortal, name="client", check=_answering(True))
    async with run_lifespan():
        assert await found() == {}
        await asyncio.sleep(10)
        assert await found() == {"client": "it died while it was running: CancelledError"}
    assert opened == 1


async def test_a_stand_in_is_not_checked() -> None:
    """That of a test need not have the methods of the real object."""
    one = resource(_client, name="one", check=_answering(False))
    other = resource(_client, name="other", check=_answering(False))
    with other.override(factory=_client):
        with one.override("stand-in"):
            async with run_lifespan():
                assert await found() == {}
        async with run_lifespan():
            assert await found() == {"one": "the check returned False"}
            with one.override("stand-in"):
                await asyncio.sleep(CACHED)
                assert await found() == {}


async def test_a_check_may_use_other_resources() -> None:
    """Those of its own lifespan, also where the event loop has two."""
    number = iter((1, 2))

    async def numbered() -> AsyncIterator[int]:
        yield next(number)

    base = resource(numbered, name="base")
    seen: list[tuple[object, int]] = []

    async def check(value: object) -> None:
        seen.append((value, base.get()))

    async def upper() -> AsyncIterator[int]:
        yield base.get()

    resource(upper, name="upper", requires=[base], check=check)
    async with run_lifespan(), run_lifespan():
        for lifespan in lifespans.anywhere:
            await failures(lifespan)
    assert seen == [(1, 1), (2, 2)]


async def test_nothing_is_told_while_the_worker_stops(caplog: pytest.LogCaptureFixture) -> None:
    """An object that is being closed may well refuse."""

    async def check(value: object) -> bool:
        await asyncio.sleep(LIMIT / 2)
        return False

    resource(_client, name="client", check=check)
    async with run_lifespan():
        [lifespan] = lifespans.anywhere
        asking = asyncio.create_task(found())
        await asyncio.sleep(0)
    assert await asking == {"client": "the check returned False"}
    await asyncio.sleep(CACHED)
    assert await failures(lifespan) == {"client": "it is not open"}
    assert told(caplog) == []
