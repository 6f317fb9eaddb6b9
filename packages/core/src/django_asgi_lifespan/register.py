"""Lifespan managers: context managers whose mappings are merged into the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from .compat import asgi_lifespan
from .legacy import LifespanContextManagerSignalWrapper
from .managers import Manager
from .registry import registry

__all__ = ("LifespanContextManagerSignalWrapper", "register_lifespan_manager")


def register_lifespan_manager(
    *, context_manager: Callable[[], AbstractAsyncContextManager[Mapping[str, Any], bool | None]]
) -> Callable[[], None]:
    """Have *context_manager* entered at startup and exited at shutdown.

    What it yields is merged into the state. Of two managers that yield one key the one
    registered first wins, and a warning names both. Managers have no name and no requirements;
    ``@resource`` has both, and types.

    Args:
        context_manager: a function that returns a new context manager. Registered twice, it
            is entered twice.

    Returns:
        A function that unregisters it.

    Raises:
        ResourceDeclarationError: it is not such a function.
    """
    connected = len(asgi_lifespan.receivers)
    return registry.add_unnamed(Manager(context_manager, receivers_before=connected))
