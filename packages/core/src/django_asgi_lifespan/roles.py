"""The types that the lifespans of a process know other rooms by. No program loads this module."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from .lifespans import Lifespan
    from .protocol import Application, Receive, Scope, Send

__all__ = ("Absence", "Gate", "Lender", "Named", "Phase", "View", "Yielding")

Phase = Literal["starting", "running", "stopping", "stopped", "failed"]
Absence = Literal["never begun", "failed", "ended", "forked"]


class Named(Protocol):
    """A resource, as far as this module needs to know it."""

    @property
    def name(self) -> str: ...


class Yielding(Named, Protocol):
    """A resource that has a part in the state."""

    @property
    def merged(self) -> bool: ...

    @property
    def module(self) -> str: ...


class View(Protocol):
    """The view that the code of one resource has of its lifespan.

    Attributes:
        on_abandon: called when nobody waits for the resource any more.
    """

    on_abandon: Callable[[], None] | None

    @property
    def lifespan(self) -> Lifespan: ...

    @property
    def resource(self) -> Named: ...

    def may_get(self, resource: object) -> bool:
        """Return whether it requires *resource*, directly or through others."""
        ...


class Gate(Protocol):
    """A gate lets requests pass without a look at them while it is open."""

    is_open: bool


class Lender(Protocol):
    """Lends a thread to each request."""

    async def run(self, django: Application, scope: Scope, receive: Receive, send: Send) -> None:
        """Let *django* handle a request with a thread from here."""
        ...
