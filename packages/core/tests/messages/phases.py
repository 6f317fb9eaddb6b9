"""Messages about the course of a lifespan: its startup, its service, and its shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction

from django_asgi_lifespan import asgi_shutdown, asgi_startup, run_lifespan, run_lifespan_sync
from django_asgi_lifespan.asgi import LifespanApplication
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.register import register_lifespan_manager
from messages.lookups import broken, dying, quiet
from messages.table import COURSE, OWN, declare, says, start
from test_driver import application

STARTUP, SHUTDOWN, OPEN = "startup", "shutdown", "open resource"


async def endless() -> AsyncIterator[None]:
    """Never open."""
    await asyncio.Event().wait()
    yield


async def stubborn() -> AsyncIterator[None]:
    """Ignore a cancellation, and open late."""
    try:
        await asyncio.sleep(9)
    except asyncio.CancelledError:
        await asyncio.sleep(9)
    yield


async def lingering() -> AsyncIterator[None]:
    """Close slowly."""
    yield
    await asyncio.sleep(60)


async def fails_to_close() -> AsyncIterator[None]:
    """Fail when it closes."""
    yield
    raise OSError("refused")


# The course of things


@says(STARTUP, "Lifespan startup: 1 resource", COURSE)
@says(STARTUP, "Lifespan startup complete in … ms", COURSE)
@says(STARTUP, "pool started in … ms", COURSE)
@says(SHUTDOWN, "pool stopped in … ms", COURSE)
async def _a_lifespan() -> None:
    declare()
    await start()


@says(STARTUP, "Lifespan startup: 2 resources", COURSE)
async def _two_resources() -> None:
    declare("a")
    declare("b")
    await start()


@says(STARTUP, "pool was cancelled after … ms", COURSE)
async def _a_resource_that_opens_while_another_fails() -> None:
    declare("broken", broken)
    declare("pool", endless)
    await start()


@says(STARTUP, "The application's own lifespan has started", COURSE)
async def _an_application_with_a_lifespan() -> None:
    steps = ("receive", "startup.complete", "receive", "shutdown.complete")
    async with LifespanDriver(LifespanApplication(application(*steps))):
        pass


@says(STARTUP, "The application has no lifespan of its own: ValueError: http alone", COURSE)
async def _an_application_that_refuses() -> None:
    refusing = application(ValueError("http alone"))
    async with LifespanDriver(LifespanApplication(refusing)):
        pass


# The startup


@says(
    STARTUP,
    "The startup has taken 5 s and goes on, waiting for: pool (STARTUP_WARNING)",
    "waiting for: pool (STARTUP_WARNING)",
)
@says(STARTUP, "The startup is interrupted, waiting for: pool", "waiting for: pool")
async def _a_startup_that_takes_long() -> None:
    declare("pool", endless)
    starting = asyncio.ensure_future(start())
    await asyncio.sleep(6)
    starting.cancel()
    await quiet(starting)


@says(
    STARTUP,
    "The startup has taken 5 s and goes on, waiting for: the signal receivers (….receiver) "
    "(STARTUP_WARNING)",
    "waiting for: the signal receivers (….receiver)",
)
async def _a_receiver_that_takes_long() -> None:
    async def receiver() -> None:
        await asyncio.sleep(6)

    asgi_startup.connect(receiver)
    await start()


@says(
    STARTUP,
    "the startup did not complete within 3 s (STARTUP_TIMEOUT), waiting for: pool; …",
    "(STARTUP_TIMEOUT), waiting for: pool",
)
@says(
    STARTUP,
    "The startup did not complete within 3 s (STARTUP_TIMEOUT), waiting for: pool",
    "(STARTUP_TIMEOUT), waiting for: pool",
)
@says(STARTUP, "pool ignored its cancellation and was abandoned", OWN)
@says("later", "pool, which was abandoned, has ended", COURSE)
async def _a_startup_without_an_end(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"STARTUP_TIMEOUT": 3}
    declare("pool", stubborn)
    try:
        await start()
    finally:
        await asyncio.sleep(20)


@says(STARTUP, "pool did not start within 2 s", OWN)
async def _a_resource_that_takes_long() -> None:
    declare("pool", endless, startup_timeout=2)
    await start()


@says(STARTUP, "pool failed to start: OSError: refused", OWN)
async def _a_resource_that_fails() -> None:
    declare("pool", broken)
    await start()


@says(STARTUP, "pool failed to start: BrokenError: <exception str() failed>", OWN)
async def _an_exception_without_words() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise LookupError

    async def pool() -> AsyncIterator[None]:
        for each in (None, 1):
            if each is None:
                raise BrokenError
            yield each

    declare("pool", pool)
    await start()


@says(STARTUP, "r00 failed to start: OSError: refused; …; and 5 more: see the log", "see the log")
async def _many_resources_that_fail() -> None:
    for number in range(15):
        declare(f"r{number:02}", broken)
    await start()


AT_THE_YIELD = (
    "a transaction of the database 'default' is open at the yield. The database connections of a "
    "resource are closed when it has opened, which would roll the transaction back. End it before "
    "the yield, or keep the connections while the resource is open: "
    "@resource(keep_connections=True)."
)


@says(STARTUP, f"pool failed to start: {AT_THE_YIELD}", "@resource(keep_connections=True)")
async def _a_transaction_at_the_yield(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One in memory is never closed.
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "database"))

    def pool() -> Iterator[None]:
        with transaction.atomic():
            connection.cursor()
            yield

    declare("pool", pool)
    await start()


@says(STARTUP, "A connection to the database 'default' failed to close", COURSE)
async def _a_connection_that_fails_to_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "database"))
    patched = pytest.MonkeyPatch()

    def pool() -> Iterator[None]:
        def close() -> None:
            patched.undo()
            raise OSError("refused")

        connection.cursor()
        patched.setattr(connections["default"], "close", close)
        yield

    declare("pool", pool)
    await start()


@says(STARTUP, "the receiver ….receiver failed: OSError: refused", OWN)
@says(STARTUP, "The receiver ….receiver failed: OSError: refused", OWN)
async def _a_receiver_that_fails() -> None:
    async def receiver() -> None:
        raise OSError("refused")

    asgi_startup.connect(receiver)
    await start()


@says(STARTUP, "the application's lifespan failed to start: OSError: refused", OWN)
async def _an_application_that_fails() -> None:
    failing = application("receive", OSError("refused"))
    await LifespanDriver(LifespanApplication(failing)).startup()


@says(
    STARTUP,
    "The lifespan cannot start: a (…) requires 'b', and no such resource is declared. …",
    OWN,
)
async def _a_declaration_that_fails() -> None:
    declare("a", requires=["b"])
    await start()


@says(
    STARTUP,
    "Both a and ….manager put 'a' into the state; the first one, declared first, wins. Rename one "
    "of them.",
    "Rename one of them",
)
async def _two_values_for_one_key() -> None:
    async def manager() -> AsyncIterator[dict[str, int]]:
        yield {"a": 2}

    declare("a")
    register_lifespan_manager(context_manager=manager)  # type: ignore[arg-type]
    await start()


@says(
    STARTUP,
    "The application's lifespan puts another 'a' into the state than the project, whose value "
    "stays there. Rename one of them.",
    "Rename one of them",
)
async def _two_values_for_one_key_of_the_application() -> None:
    async def put(scope: Any) -> None:
        scope["state"]["a"] = "another"

    declare("a")
    steps = (put, "receive", "startup.complete", "receive", "shutdown.complete")
    async with LifespanDriver(LifespanApplication(application(*steps))):
        pass


# The service and the shutdown


@says(OPEN, "pool died while it was running: ConnectionResetError: the broker went away", OWN)
async def _a_resource_that_dies() -> None:
    declare("pool", dying)
    async with run_lifespan():
        await asyncio.sleep(2)


@says(SHUTDOWN, "pool did not stop within 2 s", OWN)
async def _a_resource_that_closes_slowly() -> None:
    declare("pool", lingering, shutdown_timeout=2)
    await start()


@says(
    SHUTDOWN,
    "The shutdown did not complete within 20 s (SHUTDOWN_TIMEOUT), waiting for: pool",
    "(SHUTDOWN_TIMEOUT), waiting for: pool",
)
async def _a_shutdown_that_takes_long() -> None:
    declare("pool", lingering)
    await start()


@says(SHUTDOWN, "pool was left no time to close and was abandoned", OWN)
async def _a_shutdown_that_is_cancelled_twice() -> None:
    async def pool() -> AsyncIterator[None]:
        yield
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(9)

    declare("pool", pool)
    running = asyncio.ensure_future(start())
    for _ in range(2):
        await asyncio.sleep(0.1)
        running.cancel()
    await quiet(running)
    await asyncio.sleep(60)


@says(SHUTDOWN, "pool failed to stop: OSError: refused", OWN)
async def _a_resource_that_fails_to_close() -> None:
    declare("pool", fails_to_close)
    await start()


@says(SHUTDOWN, "the receiver ….receiver failed: OSError: refused", OWN)
async def _a_receiver_of_the_shutdown_that_fails() -> None:
    async def receiver() -> None:
        raise OSError("refused")

    asgi_shutdown.connect(receiver)
    await start()


@says(SHUTDOWN, "pool, abandoned, failed to stop", OWN)
def _a_thread_that_fails_to_close_too_late() -> None:
    release = threading.Event()

    def pool() -> Iterator[None]:
        release.wait(60)
        yield
        raise ValueError("too late")

    declare("pool", pool, startup_timeout=0.05)
    asyncio.run(quiet(start()))
    [thread] = [each for each in threading.enumerate() if each.name == "pool"]
    release.set()
    thread.join(60)


@says("script", "The lifespan's shutdown failed: pool failed to stop: OSError: refused", OWN)
def _a_shutdown_that_fails_after_the_block() -> None:
    declare("pool", fails_to_close)
    with run_lifespan_sync():
        raise LookupError


# The protocol

WRONG = "The server is wrong, or an application in front of this one."


@says(
    "server",
    f"The server sent 'http.request' where the lifespan protocol has 'lifespan.startup'. {WRONG}",
    WRONG,
)
async def _a_server_that_breaks_the_protocol() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.request"}

    async def send(message: Any) -> None: ...

    await LifespanASGIHandler()({"type": "lifespan"}, receive, send)


ANSWERS = "each phase is answered once, 'complete' or 'failed'"


@says(
    "test client",
    "The application sent 'http.response.start' where the lifespan protocol does not have it: "
    f"{ANSWERS}.",
    ANSWERS,
)
async def _an_application_that_breaks_the_protocol() -> None:
    await LifespanDriver(application({"type": "http.response.start"})).startup()


@says(
    "test client",
    "The application ended before it answered 'lifespan.startup': it has no lifespan. Pass "
    "requests to it as it is.",
    "Pass requests to it as it is",
)
async def _an_application_that_returns() -> None:
    await LifespanDriver(application()).startup()


@says(
    "test client",
    "The application ended before it answered 'lifespan.startup': ValueError: broke",
    OWN,
)
async def _an_application_that_raises() -> None:
    await LifespanDriver(application(ValueError("broke"))).startup()


@says(
    "test client",
    "The application ended before it answered 'lifespan.shutdown'. It has to wait for the message "
    "of that name.",
    "It has to wait for the message of that name",
)
async def _an_application_that_returns_too_early() -> None:
    async with LifespanDriver(application("receive", "startup.complete")):
        await asyncio.sleep(1)


@says(
    "test client", "The lifespan's shutdown failed: The application ended before it answered …", OWN
)
async def _an_application_that_fails_to_shut_down() -> None:
    async with LifespanDriver(application("receive", "startup.complete")):
        raise LookupError


@says("test client", "The application failed after its shutdown.", OWN)
async def _an_application_that_fails_late() -> None:
    steps = ("receive", "startup.complete", "receive", "shutdown.complete", ValueError("late"))
    async with LifespanDriver(application(*steps)):
        pass
