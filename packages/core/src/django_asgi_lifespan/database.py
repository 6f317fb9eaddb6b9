"""What happens to Django's database connections of a thread between two pieces of its code.

Each function acts on the connections of the thread that calls it. None imports ``django.db``: where
nobody else did, there is no connection.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from .errors import ResourceDeclarationError

__all__ = ("close_connections", "close_old_connections", "drop_broken", "drop_dead", "settle")

logger = logging.getLogger("django_asgi_lifespan")


def settle() -> None:
    """Close every connection of a resource that has opened, unless that would undo its work.

    Raises:
        ResourceDeclarationError: a transaction is open, which would be rolled back.
    """
    for connection in _open_connections():
        if _is_in_transaction(connection):
            raise ResourceDeclarationError(
                f"a transaction of the database {connection.alias!r} is open at the yield. "
                f"The database connections of a resource are closed when it has opened, which "
                f"would roll the transaction back. End it before the yield, or keep the "
                f"connections while the resource is open: @resource(keep_connections=True). "
                f"[lifespan-transaction]"
            )
    close_connections()


def close_connections() -> None:
    """Close every connection."""
    _for_each(lambda connection: connection.close())


def close_old_connections() -> None:
    """Close the connections that Django closes around a request: dead ones, and those too old."""
    _for_each(lambda connection: connection.close_if_unusable_or_obsolete())


def drop_dead() -> None:
    """Close the connections whose database does not answer, so that Django opens new ones."""
    _for_each(_drop_if_dead)


def drop_broken() -> None:
    """Do the same where a query has failed. Without a failure this takes a microsecond."""
    _for_each(_drop_if_broken)


def _drop_if_broken(connection: Any) -> None:
    if connection.errors_occurred:
        _drop_if_dead(connection)


def _drop_if_dead(connection: Any) -> None:
    if _is_in_transaction(connection):  # its own end says that the work is lost
        return
    if connection.is_usable():
        connection.errors_occurred = False
    else:
        connection.close()


def _is_in_transaction(connection: Any) -> bool:
    autocommit: object = connection.settings_dict["AUTOCOMMIT"]
    return bool(connection.in_atomic_block or connection.autocommit != autocommit)


def _for_each(act: Callable[[Any], object]) -> None:
    for connection in _open_connections():
        try:
            act(connection)
        except Exception as error:
            alias = connection.alias
            logger.warning("A connection to the database %r failed to close", alias, exc_info=error)


def _open_connections() -> list[Any]:
    connections: Any = getattr(sys.modules.get("django.db"), "connections", None)
    if "settings" not in getattr(connections, "__dict__", ()):  # nobody has asked for a connection
        return []
    initialized: list[Any] = connections.all(initialized_only=True)
    return [each for each in initialized if each.connection is not None]
