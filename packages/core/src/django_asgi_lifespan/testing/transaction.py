"""The database connections of a test that is in a transaction."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator
from typing import Any

from django.db import connections

__all__ = ("keep_transaction",)


@contextlib.contextmanager
def keep_transaction() -> Generator[list[Any]]:
    """Yield the connections of this thread, and keep them open while they are in a transaction.

    Django closes old connections around a request. It knows that of its test clients, but not
    that of an ASGI client, such as those of Channels.
    """
    found: list[Any] = [*connections.all()]
    kept = [each for each in found if "close_if_unusable_or_obsolete" not in vars(each)]
    for connection in kept:
        close = connection.close_if_unusable_or_obsolete
        connection.close_if_unusable_or_obsolete = functools.partial(
            _close_outside_of_transaction, connection, close
        )
    try:
        yield found
    finally:
        for connection in kept:
            del connection.close_if_unusable_or_obsolete


def _close_outside_of_transaction(connection: Any, close: Callable[[], object]) -> None:
    if not connection.in_atomic_block:
        close()
