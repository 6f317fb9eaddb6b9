"""What the lifespans of this process hold, found by event loop: resources' values, the state."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from .errors import ResourceUnavailableError

__all__ = ("announce_stopping", "close_websockets", "get_state", "stopping")


logger = logging.getLogger("django_asgi_lifespan")


if TYPE_CHECKING:
    from .protocol import Receive

    Phase = Literal["starting", "running", "stopping", "stopped", "failed"]

    class Named(Protocol):
        """A resource, as far as this module needs to know it."""

        @property
        def name(self) -> str: ...

    class Yielding(Named, Protocol):
        """A resource that has a part in the state."""

        @property
        def merged(self) -> bool: ...

    class View(Protocol):
        """What code that runs on behalf of one resource may ask for.

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


async def no_websockets() -> None:
    """Close the WebSockets of a lifespan that serves none."""


class Lifespan:
    """One lifespan: its phase, its state, and the values of its resources while they run.

    Attributes:
        receive: the callable that the server passed with the lifespan scope; None without a server.
        is_adapted: whether the adapter of a server was entered for it.
    """

    def __init__(self, application: Any = None, *, receive: Receive | None = None) -> None:
        self.application = application
        self.receive = receive
        self.is_adapted = False
        self.loop = asyncio.get_running_loop()
        self.phase: Phase = "starting"
        self.stopping = asyncio.Event()
        self.announce_stopping: Callable[[], object] = self.stopping.set
        self.close_websockets: Callable[[], Coroutine[Any, Any, None]] = no_websockets
        self.resources: Collection[Yielding] = ()
        self.values: dict[Named, Any] = {}
        self.died: dict[Named, str] = {}
        self.state: dict[str, Any] = {}
        self.state_filled = False

    def __str__(self) -> str:
        return f"{self.phase} lifespan {id(self):#x} in event loop {id(self.loop):#x}"

    def begin(self) -> None:
        """Let code that asks too early be told so."""
        global _begun
        _begun = True
        _unfinished.append(self)

    def fill_state(self) -> None:
        """Put what the resources yielded into the state. Of two that want one key the first wins.

        The value of a resource goes there under its name, a mapping to be merged key by key.
        """
        owners: dict[str, Yielding] = {}

        def put(resource: Yielding, key: str, value: object) -> None:
            owner = owners.setdefault(key, resource)
            if owner is resource:
                self.state[key] = value
            else:
                logger.warning(
                    "Both %s and %s put %r into the state; the first one, declared first, wins",
                    owner.name,
                    resource.name,
                    key,
                )

        for resource in self.resources:
            if resource not in self.values:  # it died already, which fails the startup
                continue
            value: object = self.values[resource]
            if resource.merged and isinstance(value, Mapping):
                for key, each in cast("Mapping[str, object]", value).items():
                    put(resource, key, each)
            else:
                put(resource, resource.name, value)
        self.state_filled = True

    def publish(self) -> None:
        """Let code that runs in this event loop find this lifespan."""
        self.phase = "running"
        _ended_in.discard(self.loop)
        running.setdefault(self.loop, []).append(self)

    def end(self, failure: str = "") -> None:
        """Withdraw this lifespan. *failure* says why it never ran."""
        global _why_none
        if failure:
            self.phase = "failed"
            _why_none = f"the lifespan failed to start: {failure}"
        else:
            self.phase = "stopped"
            _why_none = "the lifespan has ended, and everything that it had opened is closed."
            _ended_in.add(self.loop)
        self.values.clear()
        _unfinished.remove(self)
        in_this_loop = running.get(self.loop, [])
        if self in in_this_loop:
            in_this_loop.remove(self)
            if not in_this_loop:
                del running[self.loop]


def announce_stopping() -> None:
    """Let the lifespan of the server in this event loop know that the server has begun to stop.

    For the adapters of servers, which know it before the shutdown. Call it in the loop, as often
    as you like. Where an adapter was entered for a lifespan, others are not told: one that a view
    runs goes on.
    """
    for lifespan in _adapted():
        lifespan.announce_stopping()


async def close_websockets() -> None:
    """Close the open WebSockets of the server in this event loop with 1012, "service restart".

    For the adapters of servers that forget them. It waits a second at most for their handlers to
    end. Without it they are closed when the lifespan shuts down.
    """
    await asyncio.gather(*[lifespan.close_websockets() for lifespan in _adapted()])


def _adapted() -> list[Lifespan]:
    """Return the lifespans of this event loop that an adapter was entered for, or else all."""
    here = running.get(asyncio.get_running_loop(), [])
    return [lifespan for lifespan in here if lifespan.is_adapted] or list(here)


async def stopping() -> None:
    """Return when the server has begun to stop, as early as it lets us know.

    For responses that would otherwise go on for ever: streams, WebSockets, long polls. In an
    event loop whose lifespan has ended it returns at once.

    Raises:
        ResourceUnavailableError: where no lifespan has run; the message says why.
    """
    if asyncio.get_running_loop() not in _ended_in:
        await _current("The notice of the stop").stopping.wait()


running: dict[asyncio.AbstractEventLoop, list[Lifespan]] = {}
"""The lifespans that started up completely and have not ended, newest last."""

current_view: contextvars.ContextVar[View | None] = contextvars.ContextVar(
    "current_view", default=None
)
"""Set in the task of every resource, and so in the tasks and threads that copy its context."""

_begun = False
_ended_in: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_unfinished: list[Lifespan] = []
_why_none = (
    "no lifespan ran in this process. Either the server does not start one (WSGI, Daphne without "
    "its adapter, Django's own runserver and test client do not, nor does uvicorn with --lifespan "
    "off), or its application is not made by django_asgi_lifespan.asgi.get_asgi_application()."
)


def get_state() -> dict[str, Any]:
    """Return the state of the running lifespan, itself and not a copy: a value for each name.

    In an event loop this is the newest lifespan of that loop; elsewhere, in sync views and
    threads, it is the only lifespan of the process.

    Raises:
        ResourceUnavailableError: where no lifespan provides a state; the message says why.
    """
    lifespan = _current("The state")
    if not lifespan.state_filled:
        raise ResourceUnavailableError(
            "The state is not available yet: it is filled when every resource has started. "
            "Inside a resource, name the others in requires=[...] and call .get() on them."
        )
    return lifespan.state


def was_begun() -> bool:
    """Return whether any lifespan was begun in this process."""
    return _begun


def find(resource: Named) -> Any:
    """Return the value of *resource*, or raise a ResourceUnavailableError that says why not."""
    view = current_view.get()
    if view is not None and not view.may_get(resource):
        raise ResourceUnavailableError(
            f"{resource.name} is not available inside {view.resource.name}, which does not "
            f"require it, so it may not have started or may have stopped. Declare it: "
            f"@resource(requires=[{resource.name}]) on {view.resource.name}."
        )
    lifespan = _current(resource.name)
    try:
        return lifespan.values[resource]
    except KeyError:
        pass
    if resource in lifespan.died:
        reason = f"it died while it was running ({lifespan.died[resource]})."
    elif resource in lifespan.resources:
        reason = "it is stopped already, because the lifespan is ending."
    else:
        reason = (
            "it was declared after the startup of this lifespan had begun. Import the module "
            "that declares it from the lifespan.py of an installed Django app."
        )
    raise ResourceUnavailableError(f"{resource.name} is not available: {reason}")


def _current(asked_for: str) -> Lifespan:
    view = current_view.get()
    if view is not None:
        return view.lifespan
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        found = [lifespan for lifespans in running.values() for lifespan in lifespans]
        if len(found) == 1:
            return found[0]
        starting = bool(_unfinished)
    else:
        if loop in running:
            return running[loop][-1]
        found = []
        starting = any(lifespan.loop is loop for lifespan in _unfinished)
    raise ResourceUnavailableError(
        f"{asked_for} is not available: {_absence(found, starting=starting)}"
    )


def _absence(candidates: Sequence[Lifespan], *, starting: bool) -> str:
    """Say why no lifespan answers here."""
    if candidates:
        return (
            f"{len(candidates)} lifespans run in this process and this thread belongs to none: "
            f"{', '.join(map(str, candidates))}. Ask in async code, and pass the value on."
        )
    if starting:
        return (
            "the lifespan is still starting. What a resource needs at its start belongs in its "
            "requires=[...]; everything else runs after the startup."
        )
    if running:
        return (
            "the lifespan runs in another event loop, and what was opened there works only "
            "there. Ask in that loop: in an async view, or by async_to_sync in a sync view."
        )
    return _why_none
