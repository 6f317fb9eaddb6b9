"""The server side of the protocol, against applications that keep it and that break it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from django_asgi_lifespan import (
    LifespanProtocolError,
    LifespanUnsupportedError,
    ShutdownFailedError,
    StartupFailedError,
)
from django_asgi_lifespan.driver import LifespanDriver


def application(*steps: Any) -> Any:
    """Return an application that does *steps*: receives, sends a message, raises, or calls."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        for step in steps:
            if step == "receive":
                await receive()
            elif isinstance(step, BaseException):
                raise step
            elif callable(step):
                await step(scope)
            else:
                await send({"type": f"lifespan.{step}"} if isinstance(step, str) else step)

    return run


FAILED = {"type": "lifespan.startup.failed", "message": "the reason"}
SHUTDOWN_FAILED = {"type": "lifespan.shutdown.failed", "message": "the reason"}


async def test_the_application_gets_a_lifespan_scope_and_two_messages() -> None:
    """With the versions of the specification, and a state to fill."""
    seen: list[Any] = []

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        seen.append(await receive())
        scope["state"]["key"] = "value"
        await send({"type": "lifespan.startup.complete"})
        seen.append(await receive())
        await send({"type": "lifespan.shutdown.complete"})

    async with LifespanDriver(watching) as state:
        assert state == {"key": "value"}
        await asyncio.sleep(1)
        assert len(seen) == 2
    assert seen[0] == {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": state,
    }
    assert seen[1:] == [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]


async def test_the_application_runs_in_one_task_of_its_own() -> None:
    """Not in that of the caller."""
    tasks = []

    async def note(_: Any) -> None:
        tasks.append(asyncio.current_task())

    async with LifespanDriver(
        application("receive", note, "startup.complete", "receive", note, "shutdown.complete")
    ):
        pass
    assert tasks[0] is tasks[1]
    assert tasks[0] is not asyncio.current_task()


@pytest.mark.parametrize("then", [(), ("receive",), (ValueError(),)])
async def test_a_failed_startup_raises_its_message(then: tuple[Any, ...]) -> None:
    """Whether the application then returns, waits for another message or raises."""
    with pytest.raises(StartupFailedError, match=r"^the reason$"):
        await LifespanDriver(application("receive", FAILED, *then)).startup()


async def test_a_failed_startup_may_come_without_a_message() -> None:
    """The specification has the empty string for it."""
    with pytest.raises(StartupFailedError, match=r"^$"):
        await LifespanDriver(application("receive", "startup.failed")).startup()


@pytest.mark.parametrize("steps", [(), ("receive",)])
async def test_an_application_that_returns_has_no_lifespan(steps: tuple[Any, ...]) -> None:
    """Before or after it received the message."""
    with pytest.raises(LifespanUnsupportedError, match="ended before it answered") as error:
        await LifespanDriver(application(*steps)).startup()
    assert error.value.__cause__ is None


@pytest.mark.parametrize("steps", [(), ("receive",)])
async def test_an_application_that_raises_has_no_lifespan(steps: tuple[Any, ...]) -> None:
    """As Django's own handler does. The exception is the cause."""
    exception = ValueError("only HTTP")
    with pytest.raises(LifespanUnsupportedError) as error:
        await LifespanDriver(application(*steps, exception)).startup()
    assert error.value.__cause__ is exception


@pytest.mark.parametrize("then", [(), ("receive",)])
async def test_a_shutdown_ends_the_application(then: tuple[Any, ...]) -> None:
    """Also one that waits for another message, which never comes."""
    driver = LifespanDriver(
        application("receive", "startup.complete", "receive", "shutdown.complete", *then)
    )
    await driver.startup()
    await driver.shutdown()


@pytest.mark.parametrize("then", [(), ("receive",), (ValueError(),)])
async def test_a_failed_shutdown_raises_its_message(then: tuple[Any, ...]) -> None:
    """No matter how the application goes on."""
    driver = LifespanDriver(
        application("receive", "startup.complete", "receive", SHUTDOWN_FAILED, *then)
    )
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match=r"^the reason$"):
        await driver.shutdown()


async def test_an_application_that_raises_instead_of_shutting_down_failed() -> None:
    """The exception is in the message and is the cause."""
    exception = ValueError("broke")
    driver = LifespanDriver(application("receive", "startup.complete", "receive", exception))
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match=r"shutdown': ValueError: broke \[") as error:
        await driver.shutdown()
    assert error.value.__cause__ is exception


async def test_an_application_that_ended_while_serving_failed_to_shut_down() -> None:
    """It is not waited for."""
    driver = LifespanDriver(application("receive", "startup.complete"))
    await driver.startup()
    await asyncio.sleep(1)
    with pytest.raises(
        ShutdownFailedError, match=r"before it answered 'lifespan.shutdown'\. It has to"
    ):
        await driver.shutdown()


async def test_an_exception_after_the_last_answer_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The shutdown itself is complete."""
    exception = ValueError("late")
    async with LifespanDriver(
        application("receive", "startup.complete", "receive", "shutdown.complete", exception)
    ):
        pass
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is exception


@pytest.mark.parametrize(
    "steps",
    [
        ("receive", "shutdown.complete"),
        ("receive", "unknown"),
        ("receive", {"type": "http.response.start"}),
        ("receive", FAILED, FAILED),
    ],
)
async def test_a_breach_of_the_protocol_at_startup_is_an_error(steps: tuple[Any, ...]) -> None:
    """It is raised into the application, and out of the driver when it comes through."""
    with pytest.raises(LifespanProtocolError, match="answered once, 'complete' or 'failed'"):
        await LifespanDriver(application(*steps)).startup()


@pytest.mark.parametrize(
    "steps",
    [
        ("startup.complete",),
        ("receive", "startup.complete"),
        ("receive", "shutdown.complete", "shutdown.complete"),
    ],
)
async def test_a_breach_of_the_protocol_at_shutdown_is_an_error(steps: tuple[Any, ...]) -> None:
    """Such as answering the same phase twice."""
    driver = LifespanDriver(application("receive", "startup.complete", *steps))
    await driver.startup()
    with pytest.raises(LifespanProtocolError):
        await driver.shutdown()


async def test_a_cancelled_startup_cancels_the_application_and_waits_for_it() -> None:
    """Its cleanup is through when the caller goes on. A second cancellation is passed on."""
    seen: list[str] = []

    async def hang(_: Any) -> None:
        for _attempt in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("cancelled")
        await asyncio.sleep(1)
        seen.append("cleaned up")

    task = asyncio.ensure_future(LifespanDriver(application("receive", hang)).startup())
    for _ in range(2):
        await asyncio.sleep(1)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert seen == ["cancelled", "cancelled", "cleaned up"]


async def test_an_exception_in_the_block_still_shuts_down(caplog: pytest.LogCaptureFixture) -> None:
    """It goes on its way. That the shutdown failed as well is logged."""
    for last in ("shutdown.complete", SHUTDOWN_FAILED):
        caplog.clear()
        with pytest.raises(KeyError, match="mine"):
            async with LifespanDriver(application("receive", "startup.complete", "receive", last)):
                raise KeyError("mine")
        assert [record.getMessage() for record in caplog.records] == (
            [] if last == "shutdown.complete" else ["The lifespan's shutdown failed: the reason"]
        )


async def test_a_failed_shutdown_is_raised_at_the_end_of_the_block() -> None:
    """Where nothing else is on its way."""
    with pytest.raises(ShutdownFailedError, match="the reason"):
        async with LifespanDriver(
            application("receive", "startup.complete", "receive", SHUTDOWN_FAILED)
        ):
            pass


async def test_a_block_that_is_closed_with_its_loop_awaits_nothing() -> None:
    """GeneratorExit goes through."""
    driver = LifespanDriver(application("receive", "startup.complete", "receive"))
    await driver.startup()
    await driver.__aexit__(GeneratorExit, GeneratorExit(), None)
    await asyncio.sleep(0)
    driver._task.cancel()
    await asyncio.wait([driver._task])
