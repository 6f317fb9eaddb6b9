"""Where a resource stands in its lifespan, and its methods that the supervisor calls."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator
from typing import Any, Protocol

__all__ = ("BUSY", "ENDED", "State", "Supervised")


class State(enum.Enum):
    """Where a resource task stands."""

    WAITING = "waiting for the resources that it requires"
    OPENING = "opening"
    OPEN = "open"
    DYING = "closing, because it was cancelled from inside while it was open"
    CLOSING = "closing"
    CLOSED = "closed, or never opened"
    ABANDONED = "not waited for any more"


BUSY = frozenset({State.OPENING, State.DYING, State.CLOSING})
"""The states in which code of the resource runs."""

ENDED = frozenset({State.CLOSED, State.ABANDONED})


class Supervised(Protocol):
    """A resource, as the supervisor needs to know it."""

    @property
    def name(self) -> str:
        """The name that messages call it by."""
        ...

    @property
    def startup_timeout(self) -> float | None:
        """Seconds that opening may take."""
        ...

    @property
    def shutdown_timeout(self) -> float | None:
        """Seconds that closing may take."""
        ...

    @property
    def keep_connections(self) -> bool:
        """Whether its database connections stay open while it is open."""
        ...

    def open(self) -> AsyncGenerator[Any]:
        """Return a new generator that opens it, yields once, and closes it."""
        ...
