"""The names that django-asgi-lifespan 0.5 offers beside its documented interface. Deprecated.

Everything here works on top of the rest, and nothing of the rest imports it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from django.dispatch import Signal

from .compat import CompatAsyncSignal
from .errors import MissingScopeStateError
from .lifespan import ProjectLifespan
from .protocol import Scope
from .sending import call, live_receivers
from .signals import LifespanSender, asgi_shutdown

__all__ = (
    "LifespanContextManagerSignalWrapper",
    "LifespanEventDispatcher",
    "send_lifespan_signal_collecting_contexts",
    "send_lifespan_signal_compat",
)


class LifespanEventDispatcher:
    """Starts and stops the project's lifespan. Deprecated: use ``run_lifespan()``."""

    _lifespan: ProjectLifespan | None = None

    async def startup(self, scope: Scope) -> None:
        """Start everything.

        Raises:
            StartupFailedError: something failed, and nothing is left open.
        """
        self._lifespan = ProjectLifespan(scope)
        await self._lifespan.__aenter__()

    async def shutdown(self, scope: Scope) -> None:
        """Stop everything that ``startup()`` started. Without one, only call the receivers.

        Raises:
            ShutdownFailedError: something failed, after everything had its turn.
        """
        if self._lifespan is None:
            await send_lifespan_signal_compat(signal=asgi_shutdown, scope=scope)
        else:
            await self._lifespan.__aexit__(None, None, None)


async def send_lifespan_signal_compat(*, signal: Signal, scope: Scope) -> None:
    """Call the receivers of *signal*, one after the other, with *scope*. Deprecated."""
    for receiver in live_receivers(signal):
        await call(receiver, signal, {"scope": scope})


async def send_lifespan_signal_collecting_contexts(
    signal: CompatAsyncSignal, scope: Scope
) -> list[Any]:
    """Return the results of the async receivers of *signal*. Deprecated.

    Raises:
        MissingScopeStateError: *scope* has no ``state``.
    """
    if "state" not in scope:
        raise MissingScopeStateError(
            "The lifespan scope has no 'state'. Give it one: {'type': 'lifespan', 'state': {}}. "
            "[lifespan-no-state]"
        )
    responses = await signal.compat_asend_async_only(
        LifespanSender, scope=scope, state=scope["state"]
    )
    return [response for _, response in responses]


@dataclasses.dataclass(frozen=True)
class LifespanContextManagerSignalWrapper:
    """A receiver of ``asgi_lifespan`` that returns *context_manager*. Deprecated."""

    context_manager: Callable[[], Any]

    async def receiver(self, **_: Any) -> Callable[[], Any]:
        """Return the function that makes the context manager."""
        return self.context_manager
