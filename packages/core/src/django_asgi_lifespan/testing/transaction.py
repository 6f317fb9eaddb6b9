"""The database connections of a test that is in a transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from django.db import connections

__all__ = ("keep_transaction",)


@contextlib.contextmanager
def keep_transaction() -> Generator[list[Any]]:
    """Yield the connections of this thread, and keep those open that are in a transaction.

    Django closes old connections around a request. It knows that of its test clients, but not
    that of an ASGI client, such as those of Channels.
    """
    initialized: list[Any] = [*connections.all(initialized_only=True)]
    kept = [each for each in initialized if each.in_atomic_block]
    for connection in kept:
        connection.close_if_unusable_or_obsolete = _stay_open
    try:
        yield initialized
    finally:
        for connection in kept:
            del connection.close_if_unusable_or_obsolete


def _stay_open() -> None: ...
