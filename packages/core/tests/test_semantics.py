"""The promises of a lifespan, one test a promise: the application under the driver, no server."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio
import pytest

from django_asgi_lifespan import (
    Resource,
    ResourceUnavailableError,
    ShutdownFailedError,
    StartupFailedError,
    asgi_shutdown,
    asgi_startup,
    get_state,
    resource,
    run_lifespan,
)
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from supervisor_model import plain_tasks
from virtual_clock import VirtualClockLoop, run

Journal = list[str]


@pytest.fixture
def journal() -> Journal:
    """The journal of the resources of a test."""
    return []


def declare(journal: Journal, name: str, **options: Any) -> Resource[str]:
    """Declare a resource that writes down when it opens and closes."""

    async def factory() -> AsyncIterator[str]:
        journal.append(f"{name} opens")
        yield f"value of {name}"
        journal.append(f"{name} closes")

    return resource(factory, name=name, **options)


async def lifespan_messages(
    application: Any, scope: dict[str, Any] | None = None, *, then: Callable[[], Any] | None = None
) -> list[dict[str, Any]]:
    """Return the messages of the application in a whole lifespan. *then* runs in between."""
    sent: list[dict[str, Any]] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        message = next(messages)
        if message["type"] == "lifespan.shutdown" and then is not None:
            then()
        return message

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application({"type": "lifespan"} if scope is None else scope, receive, send)
    return sent


async def request(application: Any, scope: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the application's answer to a request for ``/state/``."""
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/state/",
        "query_string": b"",
        "headers": [],
        **(scope or {}),
    }
    await application(scope, receive, send)
    return sent


# 1. Always answer


async def test_a_project_that_registers_nothing_gets_an_immediate_complete() -> None:
    """The answers are the plain complete messages, and nothing else is sent."""
    assert await lifespan_messages(LifespanASGIHandler()) == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


async def test_a_project_that_registers_nothing_gets_a_silent_complete(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not a line is logged at INFO or above."""
    caplog.set_level(logging.INFO)
    await lifespan_messages(LifespanASGIHandler())
    assert not caplog.records


# 2. Order


async def test_resources_start_in_dependency_order(journal: Journal) -> None:
    """A required resource is open before its dependants, in any order of declaration."""
    declare(journal, "c", requires=["b"])
    declare(journal, "b", requires=["a"])
    declare(journal, "a")
    async with LifespanDriver(LifespanASGIHandler()):
        assert journal == ["a opens", "b opens", "c opens"]


async def test_resources_that_do_not_depend_on_each_other_start_at_the_same_time() -> None:
    """Two that take a second each have started after a second."""

    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        yield

    resource(slow, name="one")
    resource(slow, name="two")
    async with LifespanDriver(LifespanASGIHandler()):
        assert asyncio.get_running_loop().time() == pytest.approx(1)


async def test_startup_receivers_are_called_when_every_resource_has_started(
    journal: Journal,
) -> None:
    """They can get every resource, and find it in the state."""
    a = declare(journal, "a")

    async def receiver(state: dict[str, Any], **_: Any) -> None:
        assert a.get() == state["a"] == get_state()["a"] == "value of a"
        journal.append("startup")

    asgi_startup.connect(receiver)
    async with LifespanDriver(LifespanASGIHandler()):
        assert journal == ["a opens", "startup"]


@pytest.mark.real_clock
async def test_receivers_are_called_in_connection_order(journal: Journal) -> None:
    """Sync and async ones alike, one after the other."""

    async def first(**_: Any) -> None:
        await asyncio.sleep(0.01)
        journal.append("first")

    async def third(**_: Any) -> None:
        journal.append("third")

    asgi_startup.connect(first)
    asgi_startup.connect(lambda **_: journal.append("second"), dispatch_uid="second")
    asgi_startup.connect(third)
    async with LifespanDriver(LifespanASGIHandler()):
        assert journal == ["first", "second", "third"]


async def test_the_first_failing_startup_receiver_stops_the_rest(journal: Journal) -> None:
    """The startup fails with its name, later receivers are not called, resources are closed."""
    declare(journal, "a")

    async def fails(**_: Any) -> None:
        raise ValueError("no luck")

    async def never(**_: Any) -> None:
        journal.append("never")

    asgi_startup.connect(fails)
    asgi_startup.connect(never)
    with pytest.raises(StartupFailedError, match=r"receiver .*fails failed: ValueError: no luck"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["a opens", "a closes"]


async def test_shutdown_receivers_are_called_first_while_every_resource_still_works(
    journal: Journal,
) -> None:
    """They get every resource and the state. Then the resources close."""
    a = declare(journal, "a")

    async def receiver(state: dict[str, Any], **_: Any) -> None:
        assert a.get() == state["a"]
        journal.append("shutdown")

    asgi_shutdown.connect(receiver)
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert journal == ["a opens", "shutdown", "a closes"]


async def test_every_shutdown_receiver_is_called_and_failures_are_collected(
    journal: Journal,
) -> None:
    """The message names all that failed, and the resources close all the same."""
    declare(journal, "a")

    async def first(**_: Any) -> None:
        raise ValueError("one")

    async def second(**_: Any) -> None:
        raise SystemExit(2)

    async def third(**_: Any) -> None:
        journal.append("third")

    for receiver in (first, second, third):
        asgi_shutdown.connect(receiver)
    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(
        ShutdownFailedError, match=r"first failed: ValueError: one; .*second failed: SystemExit: 2"
    ):
        await driver.shutdown()
    assert journal == ["a opens", "third", "a closes"]


async def test_resources_stop_dependants_before_what_they_require(journal: Journal) -> None:
    """The order of the shutdown does not follow the speed of the startup."""
    declare(journal, "a")
    declare(journal, "c", requires=["a", "b"])
    declare(journal, "b", requires=["a"])
    async with LifespanDriver(LifespanASGIHandler()):
        journal.clear()
    assert journal == ["c closes", "b closes", "a closes"]


async def test_the_receivers_of_both_signals_run_in_one_task() -> None:
    """A value that a startup receiver sets in the context is there in a shutdown receiver."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    tasks = []

    async def startup(**_: Any) -> None:
        variable.set("set at startup")
        tasks.append(asyncio.current_task())

    async def shutdown(**_: Any) -> None:
        assert variable.get() == "set at startup"
        tasks.append(asyncio.current_task())

    asgi_startup.connect(startup)
    asgi_shutdown.connect(shutdown)
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


# 3. One task a resource


async def test_a_resource_enters_and_exits_in_one_task_of_its_own() -> None:
    """Not in the lifespan's task, nor in that of another resource."""
    tasks: dict[str, list[Any]] = {"a": [], "b": []}

    def watch(name: str) -> None:
        async def factory() -> AsyncIterator[None]:
            tasks[name].append(asyncio.current_task())
            yield
            tasks[name].append(asyncio.current_task())

        resource(factory, name=name)

    watch("a")
    watch("b")
    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert tasks["a"][0] is tasks["a"][1]
    assert tasks["b"][0] is tasks["b"][1]
    assert tasks["a"][0] is not tasks["b"][0]


async def test_an_anyio_task_group_works_across_the_yield(journal: Journal) -> None:
    """Its background task runs between startup and shutdown, and is cancelled at the end."""

    async def tick() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            journal.append("tick ends")

    @resource
    async def worker() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            yield
            group.cancel_scope.cancel()

    async with LifespanDriver(LifespanASGIHandler()):
        await asyncio.sleep(5)
        assert not journal
    assert journal == ["tick ends"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio has it since Python 3.11")
async def test_asyncio_timeout_works_across_the_yield(journal: Journal) -> None:
    """A time limit that spans the yield and is not met does not disturb the exit."""

    @resource
    async def limited() -> AsyncIterator[None]:
        async with asyncio.timeout(10):
            yield
            await asyncio.sleep(1)
        journal.append("closed in time")

    async with LifespanDriver(LifespanASGIHandler()):
        await asyncio.sleep(5)
    assert journal == ["closed in time"]


async def test_a_context_variable_can_be_reset_across_the_yield() -> None:
    """The exit runs in the context of the enter, and the context leaks nowhere."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @resource
    async def setting() -> AsyncIterator[None]:
        token = variable.set("set")
        yield
        variable.reset(token)

    seen = []

    @resource(requires=[setting])
    async def looking() -> AsyncIterator[None]:
        seen.append(variable.get())
        yield

    async with LifespanDriver(LifespanASGIHandler()):
        assert variable.get() == "unset"
    assert seen == ["unset"]


@pytest.mark.parametrize("exception", [SystemExit(7), KeyboardInterrupt(), BaseException("base")])
async def test_no_exception_leaves_the_task_of_a_resource(exception: BaseException) -> None:
    """An exception that would end the event loop becomes a failed startup."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise exception
        yield

    with pytest.raises(
        StartupFailedError, match=f"broken failed to start: {type(exception).__name__}"
    ):
        await LifespanDriver(LifespanASGIHandler()).startup()


def test_system_exit_in_a_task_of_ones_own_ends_the_loop_and_closes_everything() -> None:
    """asyncio.run then cancels every task, and each resource still waits for its turn."""
    program = """
        import asyncio
        from django.conf import settings
        settings.configure()
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import get_asgi_application
        from django_asgi_lifespan.driver import LifespanDriver

        @resource
        async def required():
            yield
            print("required closes")

        @resource(requires=[required])
        async def dependant():
            yield
            print("dependant closes")

        async def leave():
            raise SystemExit(5)

        async def main():
            async with LifespanDriver(get_asgi_application()):
                task = asyncio.ensure_future(leave())
                await asyncio.sleep(60)

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["dependant closes", "required closes"], done.stderr
    assert done.returncode == 5


# 4. All or nothing


async def test_when_one_fails_to_start_those_started_are_stopped_in_order(
    journal: Journal,
) -> None:
    """Dependants before their requirements. A resource that had not begun is not begun."""
    declare(journal, "a")
    declare(journal, "b", requires=["a"])

    @resource(requires=["b"])
    async def broken() -> AsyncIterator[None]:
        raise ConnectionRefusedError
        yield

    declare(journal, "never", requires=[broken])
    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["a opens", "b opens", "b closes", "a closes"]


async def test_when_one_fails_to_start_those_still_starting_are_cancelled_and_awaited(
    journal: Journal,
) -> None:
    """The answer waits until their cancellation is through."""

    @resource
    async def slow() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(2)
            journal.append("slow is cancelled")
        yield

    @resource
    async def broken() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        raise ValueError
        yield

    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["slow is cancelled"]
    assert asyncio.get_running_loop().time() == pytest.approx(3)


@pytest.mark.parametrize(
    ("exception", "description"),
    [
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (KeyError("DATABASE_URL"), "KeyError: 'DATABASE_URL'"),
        (asyncio.CancelledError(), "CancelledError"),
        (ValueError("the reason"), "ValueError: the reason"),
    ],
)
async def test_the_failed_message_names_the_resource_and_the_exception(
    exception: BaseException, description: str
) -> None:
    """It is never empty, and says more than the text of the exception."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise exception
        yield

    assert await lifespan_messages(LifespanASGIHandler()) == [
        {
            "type": "lifespan.startup.failed",
            "message": f"broken failed to start: {description}",
        }
    ]


async def test_the_failed_message_names_every_leaf_of_an_exception_group() -> None:
    """Also of groups in groups."""

    async def fail(exception: Exception) -> None:
        raise exception

    @resource
    async def broken() -> AsyncIterator[None]:
        async with anyio.create_task_group() as outer:
            outer.start_soon(fail, OSError("disk"))
            async with anyio.create_task_group() as inner:
                inner.start_soon(fail, ValueError("inner"))
                await anyio.sleep_forever()
        yield

    [message] = await lifespan_messages(LifespanASGIHandler())
    assert "OSError: disk" in message["message"]
    assert "ValueError: inner" in message["message"]
    assert "TaskGroup" not in message["message"]


async def test_the_traceback_goes_to_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    """One record carries the exception, and it names the resource."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise ValueError("the reason")
        yield

    await lifespan_messages(LifespanASGIHandler())
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "broken failed to start: ValueError: the reason"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_the_traceback_of_a_receiver_goes_to_the_log_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One record carries the exception, and it names the receiver."""

    async def fails(**_: Any) -> None:
        raise ValueError("the reason")

    asgi_startup.connect(fails)
    asgi_shutdown.connect(fails)
    await lifespan_messages(LifespanASGIHandler())
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage().endswith("fails failed: ValueError: the reason")


async def test_after_a_failed_startup_the_handler_returns() -> None:
    """It does not raise into the log of the server, and asks for no further message."""

    @resource
    async def broken() -> AsyncIterator[None]:
        raise ValueError
        yield

    def never() -> None:
        raise AssertionError("the handler asked for another message")

    [message] = await lifespan_messages(LifespanASGIHandler(), then=never)
    assert message["type"] == "lifespan.startup.failed"


# 5. Ended exactly once


async def test_a_resource_is_ended_once_after_the_shutdown_message(journal: Journal) -> None:
    """Opened once, closed once."""
    declare(journal, "a")
    await lifespan_messages(LifespanASGIHandler())
    assert journal == ["a opens", "a closes"]


@pytest.mark.parametrize("where", ["startup.complete", "receive"])
async def test_a_resource_is_ended_once_when_the_server_raises(
    journal: Journal, where: str
) -> None:
    """An exception from ``send`` or ``receive`` closes everything, and goes on its way."""
    declare(journal, "a")
    messages = [{"type": "lifespan.startup"}]

    async def receive() -> dict[str, Any]:
        if not messages:
            raise OSError("receive broke")
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        if where == "startup.complete":
            raise OSError("send broke")

    with pytest.raises(OSError, match="broke"):
        await LifespanASGIHandler()({"type": "lifespan"}, receive, send)
    assert journal == ["a opens", "a closes"]


@pytest.mark.parametrize("after", [0, 0.5, 1.5, 2.5, 3.5])
async def test_a_resource_is_ended_once_when_the_lifespan_task_is_cancelled(
    journal: Journal, after: float
) -> None:
    """Before the first step, while opening, while running, while closing."""
    handler = LifespanASGIHandler()

    @resource
    async def slow() -> AsyncIterator[None]:
        journal.append("opens")
        try:
            await asyncio.sleep(1)
            yield
            await asyncio.sleep(1)
        finally:
            journal.append("closes")

    async def use() -> None:
        async with LifespanDriver(handler):
            await asyncio.sleep(1)

    task = asyncio.ensure_future(use())
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.wait([task])
    assert journal in (["opens", "closes"], [])
    assert task.cancelled() == (after < 3)


@pytest.mark.parametrize("moment", ["starting", "running", "stopping"])
def test_if_the_loop_closes_without_cancelling_nothing_can_run(
    journal: Journal, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """Coroutines that are left are only closed: they await nothing and raise nothing."""
    loop = VirtualClockLoop()
    a = declare(journal, "a")

    @resource(requires=[a])
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(2)
        yield

    async def receiver(**_: Any) -> None:
        await asyncio.sleep(2)

    async def live() -> None:
        async with LifespanDriver(LifespanASGIHandler()):
            await asyncio.sleep(2)

    asgi_shutdown.connect(receiver)
    lifespan = loop.create_task(live())
    moments = {"starting": 1, "running": 3, "stopping": 5}
    loop.run_until_complete(asyncio.sleep(moments[moment]))
    assert not lifespan.done()
    for task in asyncio.all_tasks(loop):
        coroutine: Any = task.get_coro()
        coroutine.close()  # as the garbage collector does
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own complaint
    loop.close()
    assert journal == ["a opens"]
    assert not caplog.records
    with pytest.raises(ResourceUnavailableError, match="a is not available: the lifespan"):
        a.get()


async def test_the_exit_gets_no_exception_and_its_return_value_is_ignored() -> None:
    """Also when the startup of another failed. Returning True suppresses nothing."""
    exits: list[Any] = []

    class Manager:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *exception: object) -> bool:
            exits.append(exception)
            return True

    @resource(requires=[resource(Manager, name="manager")])
    async def broken() -> AsyncIterator[None]:
        raise ValueError
        yield

    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert exits == [(None, None, None)]


@pytest.mark.parametrize(
    ("count", "rest"),
    [(10, ""), (11, "; and 1 more: see the log"), (1_234, "; and 1,224 more: see the log")],
)
@pytest.mark.parametrize("phase", ["start", "stop"])
async def test_of_many_failures_the_message_names_the_first_ten(
    count: int, rest: str, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And how many others there are. The log has each."""

    async def broken() -> AsyncIterator[None]:
        if phase == "stop":
            yield
        raise ValueError("no luck")
        yield

    for index in range(count):
        resource(broken, name=f"broken_{index}")
    *_, failed = await lifespan_messages(LifespanASGIHandler())
    failures = {f"broken_{index} failed to {phase}: ValueError: no luck" for index in range(count)}
    assert set(caplog.messages) == failures
    assert failed["message"].endswith(rest)
    named = failed["message"].removesuffix(rest).split("; ")
    assert len(named) == 10
    assert set(named) <= failures


@pytest.mark.parametrize("outcome", ["fails", "hangs", "raises SystemExit"])
async def test_one_that_does_not_stop_does_not_stop_the_others(
    journal: Journal, outcome: str, settings: Any
) -> None:
    """They are closed in their turn, and the failed message names the culprits alone."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 10}
    declare(journal, "a")

    async def broken() -> AsyncIterator[None]:
        yield
        if outcome == "fails":
            raise ValueError("no")
        if outcome == "raises SystemExit":
            raise SystemExit(3)
        await asyncio.get_running_loop().create_future()

    resource(broken, name="first", requires=["a"])
    resource(broken, name="second", requires=["a"])
    declare(journal, "c", requires=["first", "second"])
    [_, message] = await lifespan_messages(LifespanASGIHandler())
    assert message["type"] == "lifespan.shutdown.failed"
    assert "first" in message["message"]
    assert "second" in message["message"]
    assert "a failed" not in message["message"]
    assert journal == ["a opens", "c opens", "c closes", "a closes"]


@pytest.mark.parametrize("receive_in_a_task", [False, True])
def test_a_cancellation_of_the_whole_loop_does_not_upset_the_order(
    journal: Journal, receive_in_a_task: bool
) -> None:
    """It reaches the resources at their yields, and each still waits for its turn."""
    for name, requires in (("c", ["b"]), ("b", ["a"]), ("a", [])):
        declare(journal, name, requires=requires)
    loop = VirtualClockLoop()
    answers: list[str] = []

    async def receive() -> dict[str, Any]:
        if not answers:
            return {"type": "lifespan.startup"}
        shutdown: asyncio.Future[dict[str, Any]] = loop.create_future()
        return await (asyncio.wait_for(shutdown, 60) if receive_in_a_task else shutdown)

    async def send(message: dict[str, Any]) -> None:
        answers.append(message["type"])

    handler = LifespanASGIHandler()
    task = loop.create_task(handler({"type": "lifespan"}, receive, send))
    loop.run_until_complete(asyncio.sleep(1))
    everything = asyncio.all_tasks(loop)
    for each in everything:
        each.cancel()
    loop.run_until_complete(asyncio.wait(everything))
    loop.close()
    assert task.cancelled()
    assert answers == ["lifespan.startup.complete"]
    assert journal[3:] == ["c closes", "b closes", "a closes"]


@pytest.mark.parametrize("others", [0, 1])
def test_a_cancellation_of_the_whole_loop_is_absorbed_by_a_task_group_of_anyio(others: int) -> None:
    """Its own cancellation of its host, as it ends, is not taken for a second one of the loop.

    In any order in which the loop cancels its tasks.
    """
    absorbed: list[str] = []

    @resource
    async def jobs() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield
            group.cancel_scope.cancel()
        absorbed.append("after the group")

    for index in range(others):
        declare([], f"other_{index}")

    def live(order: Sequence[int] | None) -> int:
        loop = VirtualClockLoop()
        loop.run_until_complete(LifespanDriver(LifespanASGIHandler()).startup())
        everything = sorted(asyncio.all_tasks(loop), key=asyncio.Task.get_name)
        for index in order or range(len(everything)):
            everything[index].cancel()
        loop.run_until_complete(asyncio.wait(everything))
        loop.close()
        return len(everything)

    orders = list(itertools.permutations(range(live(None))))
    for order in orders:
        live(order)
    assert len(absorbed) == 1 + len(orders)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks have it since Python 3.11")
def test_a_swallowed_cancellation_is_taken_back(journal: Journal) -> None:
    """A timeout in the exit works as if the task had never been cancelled."""

    @resource
    async def limited() -> AsyncIterator[None]:
        yield
        task = asyncio.current_task()
        assert task is not None
        journal.append(f"cancelling() is {task.cancelling()}")

    loop = VirtualClockLoop()
    driver = LifespanDriver(LifespanASGIHandler())
    loop.run_until_complete(driver.startup())
    everything = asyncio.all_tasks(loop)
    for task in everything:
        task.cancel()
    loop.run_until_complete(asyncio.wait(everything))
    loop.close()
    assert journal == ["cancelling() is 0"]


async def test_a_second_cancellation_at_the_yield_counts_as_dying(journal: Journal) -> None:
    """It leaves at once, with the cancellation as its exception."""

    @resource
    async def target() -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        try:
            yield
        except asyncio.CancelledError:
            journal.append("target leaves")
            raise

    tasks: list[Any] = []

    @resource(requires=[target])
    async def slow() -> AsyncIterator[None]:
        yield
        tasks[0].cancel()
        await asyncio.sleep(1)
        assert not journal
        tasks[0].cancel()
        await asyncio.sleep(1)
        journal.append("slow closes")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match="target died while it was running"):
        await driver.shutdown()
    assert journal == ["target leaves", "slow closes"]


async def test_a_cancellation_while_the_lifespan_is_not_ending_counts_as_dying(
    journal: Journal,
) -> None:
    """It leaves at once. That others require it does not hold it."""
    tasks: list[Any] = []

    @resource
    async def target() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        try:
            yield "value"
        finally:
            journal.append("target closes")

    declare(journal, "dependant", requires=[target])
    async with LifespanDriver(LifespanASGIHandler()):
        tasks[0].cancel()
        await asyncio.sleep(1)
        assert journal == ["dependant opens", "target closes"]
    assert journal == ["dependant opens", "target closes", "dependant closes"]


async def test_a_cancellation_reaches_the_code_that_opens_or_closes(journal: Journal) -> None:
    """A cancelled lifespan cancels each opening. The code sees it and can clean up."""

    @resource
    async def opening() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            journal.append("opening is cancelled")
            raise
        yield

    task = asyncio.ensure_future(LifespanDriver(LifespanASGIHandler()).startup())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert journal == ["opening is cancelled"]


async def test_one_that_cancels_itself_and_fails_at_once_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its error. It is not taken for one that was cancelled before its first step."""

    @resource
    async def hasty() -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        raise ValueError("no luck")
        yield

    with pytest.raises(StartupFailedError, match=r"^hasty failed to start: ValueError: no luck$"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert caplog.messages == ["hasty failed to start: ValueError: no luck"]


async def test_what_is_cancelled_before_its_first_step_was_never_begun(journal: Journal) -> None:
    """It neither opens nor closes, and the startup fails."""
    # Without a task factory, Python 3.12 and newer take that step at once.
    asyncio.get_running_loop().set_task_factory(plain_tasks)

    @resource
    async def first() -> AsyncIterator[None]:
        for task in asyncio.all_tasks():
            if task.get_name().endswith("second"):
                task.cancel()
        yield

    declare(journal, "second")
    with pytest.raises(StartupFailedError, match=r"^second failed to start: CancelledError$"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert not journal


async def test_resources_that_never_wait_leave_the_loop_its_turns(journal: Journal) -> None:
    """So that a cancellation comes before those that require them start."""

    @resource
    async def first() -> AsyncIterator[None]:
        asyncio.get_running_loop().call_soon(startup.cancel)
        yield

    declare(journal, "second", requires=["first"])
    startup = asyncio.create_task(run_lifespan().__aenter__())
    with pytest.raises(asyncio.CancelledError):
        await startup
    assert not journal


async def test_the_task_factory_of_the_loop_makes_the_tasks_of_resources(journal: Journal) -> None:
    """As a tool that watches tasks expects."""
    tasks: list[asyncio.Task[Any]] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(plain_tasks(loop, coroutine, **options))
        return tasks[-1]

    asyncio.get_running_loop().set_task_factory(factory)
    declare(journal, "a")
    async with run_lifespan():
        assert "a" in [task.get_name() for task in tasks]


# 6. Time limits


@pytest.mark.parametrize("obeys", [True, False])
async def test_a_startup_limit_names_the_resource(journal: Journal, obeys: bool) -> None:
    """It is cancelled at its limit, and abandoned a second later if it does not end."""
    declare(journal, "a")

    @resource(startup_timeout=5, requires=["a"])
    async def slow() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not obeys:
                await asyncio.sleep(10)
            raise
        yield

    with pytest.raises(StartupFailedError) as failure:
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert str(failure.value) == (
        "slow did not start within 5 s"
        if obeys
        else "slow did not start within 5 s, ignored its cancellation and was abandoned"
    )
    assert asyncio.get_running_loop().time() == pytest.approx(5 if obeys else 6)
    assert journal == ["a opens", "a closes"]
    await asyncio.sleep(20)


async def test_a_shutdown_limit_that_waits_for_nothing_is_not_a_failure(
    journal: Journal, settings: Any
) -> None:
    """The one that was late is abandoned in the same moment, and told of already."""
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 3, "SHUTDOWN_TIMEOUT": 1}
    declare(journal, "a")

    @resource(requires=["a"])
    async def deaf() -> AsyncIterator[None]:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(20)
        yield

    with pytest.raises(StartupFailedError) as failure:
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert str(failure.value) == (
        "the startup did not complete within 3 s (STARTUP_TIMEOUT), waiting for: deaf; "
        "deaf ignored its cancellation and was abandoned"
    )
    assert journal == ["a opens", "a closes"]
    await asyncio.sleep(20)


async def test_a_shutdown_limit_names_the_resource(journal: Journal) -> None:
    """It is cancelled at its limit, and its requirements close after it."""
    declare(journal, "a")

    @resource(shutdown_timeout=5, requires=["a"])
    async def slow() -> AsyncIterator[None]:
        yield
        try:
            await asyncio.sleep(60)
        finally:
            journal.append("slow ends")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match=r"^slow did not stop within 5 s$"):
        await driver.shutdown()
    assert asyncio.get_running_loop().time() == pytest.approx(5)
    assert journal == ["a opens", "slow ends", "a closes"]


async def test_the_limit_of_the_whole_startup_names_what_was_late(settings: Any) -> None:
    """Every resource that was still starting is cancelled."""
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 3}

    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(60)
        yield

    resource(slow, name="one")
    resource(slow, name="two")
    with pytest.raises(StartupFailedError) as failure:
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert str(failure.value) == (
        "the startup did not complete within 3 s (STARTUP_TIMEOUT), waiting for: one, two"
    )
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_the_limit_of_the_whole_startup_names_the_first_ten(settings: Any) -> None:
    """And how many others were late."""
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 3}

    async def slow() -> AsyncIterator[None]:
        await anyio.sleep_forever()
        yield

    for index in range(30):
        resource(slow, name=f"slow_{index}")
    with pytest.raises(StartupFailedError, match=r"waiting for: (slow_\d+, ){10}and 20 more$"):
        await LifespanDriver(LifespanASGIHandler()).startup()


async def test_the_whole_shutdown_can_go_without_a_limit(journal: Journal, settings: Any) -> None:
    """None stands for it."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": None}

    @resource
    async def slow() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(3600)
        journal.append("slow closes")

    async with LifespanDriver(LifespanASGIHandler()):
        pass
    assert journal == ["slow closes"]


async def test_the_limit_of_the_whole_shutdown_leaves_the_others_their_turn(
    journal: Journal, settings: Any
) -> None:
    """A resource that waited for the late one is closed in the grace that follows."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 3}
    declare(journal, "a")

    @resource(requires=["a"])
    async def deaf() -> AsyncIterator[None]:
        yield
        ends = asyncio.get_running_loop().time() + 60
        while asyncio.get_running_loop().time() < ends:
            try:
                await asyncio.sleep(ends - asyncio.get_running_loop().time())
            except asyncio.CancelledError:
                journal.append("deaf ignores a cancellation")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError) as failure:
        await driver.shutdown()
    assert str(failure.value) == (
        "the shutdown did not complete within 3 s (SHUTDOWN_TIMEOUT), waiting for: deaf; "
        "deaf ignored its cancellation and was abandoned"
    )
    assert asyncio.get_running_loop().time() == pytest.approx(4)
    assert journal == ["a opens", "deaf ignores a cancellation", "a closes"]
    await asyncio.sleep(60)


async def test_cancelling_the_lifespan_task_starts_the_teardown(journal: Journal) -> None:
    """It runs to its end, and the cancellation is raised again after it."""

    @resource
    async def slow() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(5)
        journal.append("slow closes")

    started = asyncio.get_running_loop().create_future()

    async def receive() -> dict[str, Any]:
        if not started.done():
            return {"type": "lifespan.startup"}
        return await asyncio.get_running_loop().create_future()

    async def send(message: dict[str, Any]) -> None:
        started.set_result(None)

    task = asyncio.ensure_future(LifespanASGIHandler()({"type": "lifespan"}, receive, send))
    await started
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert journal == ["slow closes"]


async def test_cancelling_the_lifespan_task_lets_the_teardown_go_on(
    journal: Journal, settings: Any
) -> None:
    """It stays within the limit of the whole shutdown."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 4}

    @resource
    async def slow() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(3)
        journal.append("slow closes")

    @resource
    async def endless() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(60)

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    task = asyncio.ensure_future(driver.shutdown())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert journal == ["slow closes"]
    assert asyncio.get_running_loop().time() == pytest.approx(4)


async def test_a_second_cancellation_cuts_the_rest_to_a_second(journal: Journal) -> None:
    """After half of it the rest is cancelled, after the whole it is abandoned."""
    declare(journal, "a")

    @resource(requires=["a"])
    async def slow() -> AsyncIterator[None]:
        yield
        try:
            await asyncio.sleep(60)
        finally:
            journal.append("slow is cancelled")

    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    task = asyncio.ensure_future(driver.shutdown())
    for _ in range(2):
        await asyncio.sleep(1)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert asyncio.get_running_loop().time() == pytest.approx(2.5)
    assert journal == ["a opens", "slow is cancelled", "a closes"]


async def test_an_abandoned_resource_that_opens_after_all_is_closed_at_once(
    journal: Journal,
) -> None:
    """It was begun, so it is ended."""

    @resource(startup_timeout=1)
    async def deaf() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(10)
        journal.append("deaf opens")
        yield
        journal.append("deaf closes")

    with pytest.raises(StartupFailedError):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert not journal
    await asyncio.sleep(20)
    assert journal == ["deaf opens", "deaf closes"]


async def test_a_hung_receiver_is_cancelled_and_abandoned_too(
    journal: Journal, settings: Any
) -> None:
    """The resources close all the same."""
    settings.ASGI_LIFESPAN = {"SHUTDOWN_TIMEOUT": 5}
    declare(journal, "a")

    async def hangs(**_: Any) -> None:
        await asyncio.sleep(60)

    asgi_shutdown.connect(hangs)
    driver = LifespanDriver(LifespanASGIHandler())
    await driver.startup()
    with pytest.raises(ShutdownFailedError, match="waiting for: the signal receivers"):
        await driver.shutdown()
    assert journal == ["a opens", "a closes"]


# 7. A resource that dies while running


@pytest.mark.parametrize("library", ["anyio", "asyncio"])
async def test_a_resource_that_dies_is_logged_with_its_name_and_traceback(
    library: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its ``.get()`` says so from then on, and the others go on."""
    if library == "asyncio" and sys.version_info < (3, 11):
        pytest.skip("asyncio has task groups since Python 3.11")

    async def crash() -> None:
        await asyncio.sleep(1)
        raise ConnectionResetError("the broker went away")

    @resource
    async def consumer() -> AsyncIterator[str]:
        if library == "anyio":
            async with anyio.create_task_group() as group:
                group.start_soon(crash)
                yield "consumer"
        else:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(crash())
                yield "consumer"

    @resource
    async def other() -> AsyncIterator[str]:
        yield "other"

    async with LifespanDriver(LifespanASGIHandler()):
        assert consumer.get() == "consumer"
        await asyncio.sleep(2)
        assert other.get() == "other"
        with pytest.raises(
            ResourceUnavailableError,
            match=r"it died while it was running \(ConnectionResetError: the broker went away\)",
        ):
            consumer.get()
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == (
        "consumer died while it was running: ConnectionResetError: the broker went away"
    )
    assert record.exc_info is not None


async def test_a_resource_that_dies_during_the_startup_fails_it(journal: Journal) -> None:
    """The server does not begin to serve without it."""
    declare(journal, "a")

    async def crash() -> None:
        raise ValueError("crashed")

    @resource
    async def consumer() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(crash)
            yield

    @resource
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(5)
        yield

    with pytest.raises(StartupFailedError, match="consumer died while it was running: ValueError"):
        await LifespanDriver(LifespanASGIHandler()).startup()
    assert journal == ["a opens", "a closes"]


# 8. State is ours


async def test_the_state_is_copied_in_place_into_the_servers() -> None:
    """The server keeps its own object, and its keys stay."""
    resource(_value("a"), name="a")
    servers: dict[str, Any] = {"put by": "the server"}
    scope = {"type": "lifespan", "state": servers}
    seen: list[Any] = []
    await lifespan_messages(LifespanASGIHandler(), scope, then=lambda: seen.append(dict(servers)))
    assert scope["state"] is servers
    assert seen == [{"put by": "the server", "a": "value of a"}]


async def test_keys_found_only_in_the_servers_state_are_taken_over() -> None:
    """Whether they were there before, or a receiver put them there."""

    async def receiver(scope: dict[str, Any], **_: Any) -> None:
        scope["state"]["late"] = "by a receiver"

    asgi_startup.connect(receiver)
    seen: list[Any] = []
    scope = {"type": "lifespan", "state": {"early": "by the server"}}
    await lifespan_messages(
        LifespanASGIHandler(), scope, then=lambda: seen.append(dict(get_state()))
    )
    assert seen == [{"early": "by the server", "late": "by a receiver"}]


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_server_without_state_gets_one_in_every_request(
    kind: str,
) -> None:
    """In HTTP and WebSocket scopes, each a copy."""
    resource(_value("a"), name="a")
    scopes: list[dict[str, Any]] = []

    async def django(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)

    handler = LifespanApplication(django)
    async with LifespanDriver(handler):
        for _ in range(2):
            await handler({"type": kind}, None, None)
        assert scopes[0]["state"] == scopes[1]["state"] == get_state() == {"a": "value of a"}
        assert scopes[0]["state"] is not scopes[1]["state"]
        assert scopes[0]["state"] is not get_state()


async def test_a_server_that_empties_the_state_before_the_shutdown_changes_nothing() -> None:
    """The shutdown receivers find everything in ours (Granian does it, asgi.py, 2.8.7)."""
    resource(_value("a"), name="a")
    servers: dict[str, Any] = {}
    seen = []

    async def receiver(state: dict[str, Any], **_: Any) -> None:
        seen.append(dict(state))

    asgi_shutdown.connect(receiver)
    scope = {"type": "lifespan", "state": servers}
    await lifespan_messages(LifespanASGIHandler(), scope, then=servers.clear)
    assert seen == [{"a": "value of a"}]


async def test_requests_get_shallow_copies() -> None:
    """A key that a request puts into its state is not in the next one. The values are shared."""
    resource(_value("a"), name="a")
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler) as state:
        state["a"] = ["shared"]
        first, second = {"state": state.copy()}, {"state": state.copy()}
        await request(handler, first)
        first["state"]["mine"] = True
        [_, body, *_] = await request(handler, second)
        assert b"mine" not in body["body"]
        assert b"shared" in body["body"]


# 9. Never served after a failed start


async def _fail_to_start(handler: LifespanASGIHandler, *, repaired: list[bool]) -> None:
    @resource
    async def fragile() -> AsyncIterator[None]:
        if not repaired:
            raise ValueError
        yield

    with pytest.raises(StartupFailedError):
        await LifespanDriver(handler).startup()


async def test_after_a_failed_start_http_requests_get_503_until_a_later_one_completes() -> None:
    """No matter how the server reacts to the failure."""
    handler = LifespanASGIHandler()
    repaired: list[bool] = []
    await _fail_to_start(handler, repaired=repaired)
    for _ in range(2):
        [start, _] = await request(handler, {"state": {}})
        assert start["status"] == 503
    repaired.append(True)
    async with LifespanDriver(handler) as state:
        for _ in range(2):
            [start, *_] = await request(handler, {"state": state.copy()})
            assert start["status"] == 200


async def test_after_a_failed_start_websockets_are_closed_with_1013() -> None:
    """After the connect message, as the specification has it."""
    handler = LifespanASGIHandler()
    await _fail_to_start(handler, repaired=[])
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append((message["type"], message["code"]))

    await handler({"type": "websocket", "path": "/"}, receive, send)
    assert sent == [("websocket.close", 1013)]


async def test_while_the_lifespan_is_starting_requests_get_503() -> None:
    """A server that does not wait for the startup does not get a half-started application."""
    handler = LifespanASGIHandler()

    @resource
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(5)
        yield

    driver = LifespanDriver(handler)
    starting = asyncio.ensure_future(driver.startup())
    await asyncio.sleep(1)
    [start, _] = await request(handler)
    assert start["status"] == 503
    await starting
    [start, *_] = await request(handler)
    assert start["status"] == 200
    await driver.shutdown()


async def test_a_cancelled_start_counts_as_failed() -> None:
    """A server that gives up waiting does not get to serve either."""
    handler = LifespanASGIHandler()

    @resource
    async def slow() -> AsyncIterator[None]:
        await asyncio.sleep(5)
        yield

    starting = asyncio.ensure_future(LifespanDriver(handler).startup())
    await asyncio.sleep(1)
    starting.cancel()
    await asyncio.wait([starting])
    [start, _] = await request(handler)
    assert start["status"] == 503


# 10. Registered but never started is never silent


async def test_requests_without_any_lifespan_log_one_error_that_says_why(
    caplog: pytest.LogCaptureFixture, journal: Journal
) -> None:
    """It names the unopened resources and the remedy. The requests are served."""
    declare(journal, "http_client")
    handler = LifespanASGIHandler()
    for _ in range(3):
        [start, *_] = await request(handler)
        assert start["status"] == 200
    [record] = [each for each in caplog.records if each.name == "django_asgi_lifespan"]
    assert record.levelno == logging.ERROR
    assert "the server has not started the lifespan" in record.getMessage()
    assert "http_client" in record.getMessage()
    assert "--lifespan on" in record.getMessage()


async def test_requests_without_a_lifespan_are_silent_when_nothing_is_registered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is nothing to complain about."""
    [start, *_] = await request(LifespanASGIHandler())
    assert start["status"] == 200
    assert not [each for each in caplog.records if each.name == "django_asgi_lifespan"]


# 11. Re-entrant, fork-safe


def test_one_application_lives_through_several_lifespans_in_several_loops(
    journal: Journal,
) -> None:
    """Each opens and closes everything."""
    a = declare(journal, "a")
    handler = LifespanASGIHandler()

    async def live() -> None:
        async with LifespanDriver(handler):
            assert a.get() == "value of a"
            [start, *_] = await request(handler)
            assert start["status"] == 200

    for _ in range(3):
        run(live())
    assert journal == ["a opens", "a closes"] * 3


@pytest.mark.real_clock
async def test_two_overlapping_lifespans_of_one_loop_are_independent() -> None:
    """Asked from outside, the newest answers. Ending it leaves the older one alone."""
    numbers = iter((1, 2))

    @resource
    async def number() -> AsyncIterator[int]:
        yield next(numbers)

    seen = []
    asgi_shutdown.connect(lambda **_: seen.append(number.get()))
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler) as first:
        async with LifespanDriver(handler) as second:
            assert (first["number"], second["number"]) == (1, 2)
            assert number.get() == 2
            assert get_state()["number"] == 2
        assert number.get() == 1
        assert get_state()["number"] == 1
    assert seen == [2, 1]


def test_nothing_bound_to_a_loop_is_made_before_the_lifespan(journal: Journal) -> None:
    """The application made in one process or thread can start in another loop."""
    declare(journal, "a")
    handler = LifespanASGIHandler()
    driver_loop = VirtualClockLoop()
    other_loop = VirtualClockLoop()
    other_loop.close()
    driver = LifespanDriver(handler)
    driver_loop.run_until_complete(driver.startup())
    driver_loop.run_until_complete(driver.shutdown())
    driver_loop.close()
    assert journal == ["a opens", "a closes"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_an_application_made_before_a_fork_lives_in_each_child() -> None:
    """As under a server that loads the application once and forks its workers."""
    program = """
        import asyncio, os, sys
        from django.conf import settings
        settings.configure()
        from django_asgi_lifespan import resource
        from django_asgi_lifespan.asgi import get_asgi_application
        from django_asgi_lifespan.driver import LifespanDriver

        @resource
        async def pid():
            yield os.getpid()

        application = get_asgi_application()

        async def live():
            async with LifespanDriver(application):
                await asyncio.sleep(0)
                return pid.get() == os.getpid()

        children = []
        for _ in range(2):
            child = os.fork()
            if not child:
                os._exit(0 if asyncio.run(live()) else 1)
            children.append(child)
        sys.exit(any(os.waitpid(child, 0)[1] for child in children))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# 12. HTTP is otherwise untouched


async def test_http_goes_to_djangos_handler_with_the_same_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scope, receive and send are handed on as they came."""
    calls: list[tuple[Any, ...]] = []

    async def django(self: Any, *arguments: Any) -> None:
        calls.append(arguments)

    monkeypatch.setattr("django.core.handlers.asgi.ASGIHandler.__call__", django)
    handler = LifespanASGIHandler()
    async with LifespanDriver(handler) as state:
        arguments = ({"type": "http", "state": state.copy()}, object(), object())
        for _ in range(2):
            await handler(*arguments)
    assert [tuple(map(id, call)) for call in calls] == [tuple(map(id, arguments))] * 2


async def test_other_scope_types_get_djangos_own_error() -> None:
    """Of any type. Only a WebSocket is closed instead."""
    with pytest.raises(ValueError, match="Django can only handle ASGI/HTTP connections"):
        await LifespanASGIHandler()({"type": "unknown"}, None, None)  # type: ignore[arg-type]


def _value(name: str) -> Callable[[], AsyncIterator[str]]:
    async def factory() -> AsyncIterator[str]:
        yield f"value of {name}"

    return factory
