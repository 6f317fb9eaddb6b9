"""The system checks of the settings that decide how long the connections of requests live."""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.db import connections

from .conf import LifespanSettings

__all__ = ("check_connections",)

APP = "django_asgi_lifespan"


def check_connections(settings: LifespanSettings) -> Iterator[checks.CheckMessage]:
    """Yield a finding for each database whose settings do not fit to those of the lifespan."""
    for alias in connections:
        database = connections.settings[alias]
        age: object = database["CONN_MAX_AGE"]
        if age == 0:
            has_pool = database["OPTIONS"].get("pool")
            if settings.request_threads is not None and not has_pool and _is_real(database):
                yield checks.Info(
                    f"ASGI_LIFESPAN['REQUEST_THREADS'] is set, but DATABASES[{alias!r}] has "
                    f"neither a CONN_MAX_AGE nor a pool. Each request opens a connection.",
                    hint="Set CONN_MAX_AGE to some minutes, and CONN_HEALTH_CHECKS to True.",
                    id=f"{APP}.I001",
                )
        elif settings.request_threads is None:
            yield checks.Warning(
                f"DATABASES[{alias!r}] has CONN_MAX_AGE={age!r}. Under ASGI each request has a "
                f"thread of its own, so no other request finds the connection that it leaves open.",
                hint="Set ASGI_LIFESPAN = {'REQUEST_THREADS': 16}, which keeps the threads, or "
                "CONN_MAX_AGE to 0. Django 5.1 has a pool for PostgreSQL: "
                "OPTIONS = {'pool': True}.",
                id=f"{APP}.W007",
            )
        elif not database["CONN_HEALTH_CHECKS"]:
            yield checks.Warning(
                f"DATABASES[{alias!r}] has CONN_MAX_AGE={age!r} without CONN_HEALTH_CHECKS. After "
                f"a restart of the database, every kept thread fails one request.",
                hint="Set CONN_HEALTH_CHECKS to True.",
                id=f"{APP}.W008",
            )


def _is_real(database: dict[str, object]) -> bool:
    return database["ENGINE"] != "django.db.backends.dummy"
