"""d01 and d02: a failed startup is rolled back."""

from __future__ import annotations

import asyncio

from defects.helpers import Journal, Server, failing_manager, manager
from django_asgi_lifespan.handler import LifespanASGIHandler


async def test_d01_what_was_entered_is_exited_when_the_startup_fails(journal: Journal) -> None:
    """Before the failure is answered."""
    manager(journal, "a")
    failing_manager(ValueError("no luck"), after=1)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    assert journal == ["a opens", "a closes"]


async def test_d02_siblings_do_not_go_on_starting_when_the_startup_failed(
    journal: Journal,
) -> None:
    """Those that are still starting are cancelled."""
    manager(journal, "a", opening=2)
    failing_manager(ValueError("no luck"), after=1)
    answer = await Server(LifespanASGIHandler()).start()
    assert answer["type"] == "lifespan.startup.failed"
    await asyncio.sleep(10)
    assert not journal
