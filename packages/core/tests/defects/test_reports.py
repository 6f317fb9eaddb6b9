"""d23 to d25: WebSockets, the report of a failure, and the receivers after it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from defects.helpers import Journal, Server, failing_manager
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.signals import asgi_startup


async def test_d23_a_websocket_is_closed_without_a_traceback() -> None:
    """After its connect message, and nothing is raised into the log of the server."""
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/", "headers": [], "state": {}}
    await LifespanASGIHandler()(scope, receive, send)
    assert sent == ["websocket.close"]


@pytest.mark.parametrize("exception", [ValueError("no luck"), ConnectionRefusedError()])
async def test_d24_the_traceback_of_a_failed_startup_is_in_the_log(
    exception: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, and the answer, which the server logs, is not empty either."""
    failing_manager(exception)
    answer = await Server(LifespanASGIHandler()).start()
    assert type(exception).__name__ in answer["message"]
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is exception
    assert type(exception).__name__ in record.getMessage()


async def test_d25_the_siblings_of_a_failing_receiver_do_not_run_on(journal: Journal) -> None:
    """When the failure is reported, those before it have ended, those after it never begin."""

    def connect(name: str, seconds: float, exception: Exception | None = None) -> None:
        async def receiver(**_: Any) -> None:
            journal.append(f"{name} begins")
            await asyncio.sleep(seconds)
            if exception is not None:
                raise exception
            journal.append(f"{name} ends")

        asgi_startup.connect(receiver, weak=False)

    connect("slow", 2)
    connect("failing", 1, ValueError("no luck"))
    connect("slower", 3)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    await asyncio.sleep(10)
    assert journal == ["slow begins", "slow ends", "failing begins"]
