"""The lifespans of this process: the phase and the values of each, and an object that knows all."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import os
import weakref
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from asgiref.sync import SyncToAsync

if TYPE_CHECKING:
    from .protocol import Receive
    from .roles import Absence, Gate, Lender, Named, Phase, View, Yielding

__all__ = ("Lifespan", "Lifespans", "answering", "current_view", "lifespans")

_numbers = itertools.count()


async def no_websockets() -> None:
    """Close the WebSockets of a lifespan that serves none."""


class Lifespan:
    """One lifespan: its phase, its state, and the values of its resources while they run.

    Attributes:
        receive: the callable that the server passed with the scope, or None without a server.
        is_adapted: whether the adapter of a server was entered for it.
        copied_by: the name of a wrapper that copies the scope of each request deeply.
        is_mirrored: whether the server's dictionary has the content of the state.
        is_partial: whether it starts a part of the resources, and sends no Django signals.
        shutdown_failed: whether something could not be closed.
        drain_delay: seconds between SIGTERM and the begin of the stop, in which `is_leaving`.
        request_threads: lend threads to requests, if the settings say so, while it runs.
        number: a newer lifespan has a higher one.
    """

    def __init__(self, application: Any = None, *, receive: Receive | None = None) -> None:
        self.application = application
        self.receive = receive
        self.is_adapted = False
        self.copied_by = ""
        self.is_mirrored = True
        self.is_partial = False
        self.shutdown_failed = False
        self.drain_delay = 0.0
        self.is_leaving = False
        self.loop = asyncio.get_running_loop()
        self.stopping = asyncio.Event()
        self.announce_stopping: Callable[[], object] = self.stopping.set
        self.close_websockets: Callable[[], Coroutine[Any, Any, None]] = no_websockets
        self.resources: Collection[Yielding] = ()
        self.values: dict[Named, Any] = {}
        self.died: dict[Named, str] = {}
        self.state: dict[str, Any] = {}
        self.state_filled = False
        self.request_threads: Lender | None = None
        self.number = next(_numbers)
        self._phase: Phase = "starting"

    def __str__(self) -> str:
        return f"{self.phase} lifespan {id(self):#x} in event loop {id(self.loop):#x}"

    @property
    def phase(self) -> Phase:
        """How far it has got."""
        return self._phase

    def is_in(self, state: Mapping[str, Any]) -> bool:
        """Return whether *state*, that of a request, holds the objects of this lifespan."""
        return all(state.get(key) is value for key, value in self.state.items())

    def begin(self) -> None:
        """Let code that asks too early be told so."""
        lifespans.add(self)

    def publish(self) -> None:
        """Let code that runs in this event loop find this lifespan."""
        self._phase = "running"
        lifespans.publish(self)

    def begin_stop(self) -> None:
        """Refuse new WebSockets."""
        self._phase = "stopping"

    def end(self, failure: str = "") -> None:
        """Withdraw this lifespan. *failure* says why it never ran."""
        self._phase = "failed" if failure else "stopped"
        self.values.clear()
        lifespans.remove(self, failure)


class Lifespans:
    """The lifespans of this process, by the event loop in which they run.

    Attributes:
        running: the lifespans that started up completely and have not ended, newest last.
        anywhere: the same without their event loops. Sync code looks there first.
        unfinished: those that were begun and have not ended.
        ended_in: the event loops in which one has ended, and none has started since.
        absence: why there is none, where there is none.
        failure: the reason of the latest startup that failed.
        cause: why a request came although none was begun, with the remedy.
        gates: are closed where an event loop has more than one lifespan, so that each request is
            looked at.
    """

    def __init__(self) -> None:
        self.running: dict[asyncio.AbstractEventLoop, list[Lifespan]] = {}
        self.anywhere: list[Lifespan] = []
        self.unfinished: list[Lifespan] = []
        self.ended_in: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self.absence: Absence = "never begun"
        self.failure = ""
        self.cause = ""
        self.gates: weakref.WeakSet[Gate] = weakref.WeakSet()

    def add(self, lifespan: Lifespan) -> None:
        """Note that *lifespan* was begun."""
        self.unfinished.append(lifespan)

    def publish(self, lifespan: Lifespan) -> None:
        """Note that *lifespan* has started up."""
        self.ended_in.discard(lifespan.loop)
        here = self.running.setdefault(lifespan.loop, [])
        here.append(lifespan)
        self.anywhere.append(lifespan)
        if len(here) > 1:
            for gate in self.gates:
                gate.is_open = False

    def remove(self, lifespan: Lifespan, failure: str) -> None:
        """Note that *lifespan* has ended, or never started up because of *failure*."""
        if lifespan not in self.unfinished:  # this process was forked meanwhile
            return
        self.unfinished.remove(lifespan)
        self.absence, self.failure = ("failed", failure) if failure else ("ended", "")
        if not failure:
            self.ended_in.add(lifespan.loop)
        here = self.running.get(lifespan.loop, [])
        if lifespan in here:
            here.remove(lifespan)
            self.anywhere.remove(lifespan)
            if not here:
                del self.running[lifespan.loop]

    def was_begun(self) -> bool:
        """Return whether any lifespan was begun in this process."""
        return bool(self.unfinished) or self.absence in ("failed", "ended")

    def forget(self) -> None:
        """Have none: this process was forked, and none of their event loops runs in it."""
        if self.unfinished:
            self.running.clear()  # this and the next are the objects that resources look at
            self.anywhere.clear()
            self.unfinished.clear()
            self.ended_in.clear()
            self.absence = "forked"
            current_view.set(None)
            answering.set(None)

    def of_sync_code(self) -> Lifespan | None:
        """Return the lifespan that answers in code that no event loop runs, if that is clear.

        It is the one of the block, or the only one of the event loop that called the code, as
        asgiref notes it (``SyncToAsync.thread_handler``).
        """
        answer = answering.get()
        if answer is not None and answer.phase != "stopped":
            return answer
        caller = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
        here = None if caller is None else self.running.get(caller)
        return here[0] if here and len(here) == 1 else None


lifespans = Lifespans()
"""Those of this process."""

current_view: contextvars.ContextVar[View | None] = contextvars.ContextVar(
    "current_view", default=None
)
"""Set in the task of every resource, and so in the tasks and threads that copy its context."""

answering: contextvars.ContextVar[Lifespan | None] = contextvars.ContextVar(
    "answering", default=None
)
"""The lifespan that answers here: set inside the block of ``run_lifespan()`` and of its sync twin,
and in the requests of an event loop that has several lifespans."""

with contextlib.suppress(AttributeError):  # Windows has no forks
    os.register_at_fork(after_in_child=lifespans.forget)
