"""The project's application in a worker that tells the journal which connections it leaves open.

PostgreSQL counts them when the application has answered the message of the shutdown.
"""

from __future__ import annotations

import os
from typing import Any

import psycopg
from django.conf import settings

from testkit import journal

from .asgi import application as project

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Look at the answers of the project."""

    async def seen(message: Any) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            journal.write("connections", str(count()))
        elif message["type"] == "lifespan.startup.complete":
            journal.write("worker", "open")
        await send(message)

    await project(scope, receive, seen if scope["type"] == "lifespan" else send)


def count() -> int:
    """Return how many connections of this worker are open."""
    name = settings.DATABASES["default"]["OPTIONS"]["application_name"]
    with psycopg.connect(os.environ["POSTGRESQL"], autocommit=True) as admin:
        [number] = admin.execute(COUNT, [name]).fetchone() or [0]
        return int(number)
