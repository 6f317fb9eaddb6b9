"""d21 and d22: database connections and test clients."""

from __future__ import annotations

import sqlite3
import unittest
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import SimpleTestCase

from defects.helpers import STARTED, Journal, Server, manager
from defects.project import MIDDLEWARE, PROJECT
from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.signals import asgi_startup
from django_asgi_lifespan.testing import LifespanAwareAsyncClient


@pytest.mark.real_clock
async def test_d21_the_database_connection_of_a_sync_receiver_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing else could close it: it belongs to the receiver's thread."""
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "db.sqlite3"))
    opened: list[Any] = []

    def receiver(**_: Any) -> None:
        connection.ensure_connection()
        opened.append(connection.connection)

    asgi_startup.connect(receiver, weak=False)
    server = Server(LifespanASGIHandler())
    assert await server.start() == STARTED
    [found] = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        found.execute("SELECT 1")
    await server.stop()


def test_d22_the_client_can_be_the_client_class_of_a_test_case() -> None:
    """Django makes it without arguments."""

    class Case(SimpleTestCase):
        async_client_class = LifespanAwareAsyncClient

        def runTest(self) -> None:  # noqa: N802 - unittest's name
            assert type(self.async_client) is LifespanAwareAsyncClient

    outcome = unittest.TestResult()
    Case()(outcome)
    assert outcome.testsRun == 1
    assert not [*outcome.errors, *outcome.failures]


@pytest.mark.real_clock
async def test_d22_the_client_has_the_state_of_the_lifespan(
    journal: Journal, settings: Any
) -> None:
    """Not one that the test made up."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = PROJECT
    manager(journal, "a")
    server = Server(LifespanASGIHandler())
    await server.start()
    response = await LifespanAwareAsyncClient().get("/state/")  # type: ignore[call-arg]
    assert response.json() == {"a": "value of a"}
    await server.stop()


@pytest.mark.real_clock
async def test_d22_what_a_request_leaves_in_its_state_stays_there(settings: Any) -> None:
    """Each has a copy, as from a server."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.ROOT_URLCONF = PROJECT
    client = LifespanAwareAsyncClient(state={"a": 1})
    for _ in range(2):
        assert (await client.get("/state/")).json() == {"a": "1"}
