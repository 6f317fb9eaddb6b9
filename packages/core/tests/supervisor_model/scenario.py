"""A scenario: the plan of each resource, and when the lifespan's task is cancelled."""

from __future__ import annotations

import asyncio
import enum
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


HAS_GROUPS = sys.version_info >= (3, 11)


def plain_tasks(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make tasks as the loop does, as a factory, which is asked for the tasks of resources too."""
    return asyncio.Task(coroutine, loop=loop, **options)


TASK_FACTORIES: list[Any] = [None, plain_tasks]
if sys.version_info >= (3, 12):
    TASK_FACTORIES.append(asyncio.eager_task_factory)


class OddError(BaseException):
    """Neither an Exception nor one of those that the event loop knows."""


class UnprintableError(Exception):
    """An error in the code that reports an error."""

    def __str__(self) -> str:
        raise AttributeError("no attribute 'reason'")


def _group(text: str) -> BaseException:
    return BaseExceptionGroup("a group", [OddError(text), ValueError(text)])


ERRORS: dict[str, Callable[[str], BaseException]] = {
    "Exception": RuntimeError,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "BaseException": OddError,
    "BaseExceptionGroup": _group,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "an exception that cannot be printed": UnprintableError,
}
"""The exceptions that a resource may raise. Only CancelledError is not always a failure."""


class OnCancel(enum.Enum):
    """The reaction of a resource's code when a cancellation reaches it."""

    LEAVE = "lets the CancelledError pass"
    CLEAN_UP = "lets it pass after a moment of cleaning up"
    FINISH = "goes straight to its end"
    IGNORE = "waits on for some seconds, whatever comes, and goes to its end"


@dataclass(frozen=True)
class Act:
    """The plan for the opening or closing of a resource: wait, and then succeed or raise."""

    seconds: float = 0.0
    turns: int = 0
    error: str = ""
    on_cancel: OnCancel = OnCancel.LEAVE
    stubborn: float = 0.0

    @property
    def hangs(self) -> bool:
        return math.isinf(self.seconds)


class Host(enum.Enum):
    """The context that a resource keeps open around its yield, and how it dies of it."""

    NOTHING = "its own task is cancelled"
    TASK_GROUP = "asyncio.TaskGroup with a child that crashes"
    ANYIO = "anyio.create_task_group() with a child that crashes"
    TIMEOUT = "asyncio.timeout() that runs out"


@dataclass(frozen=True)
class Plan:
    """One resource: its place in the graph and its behaviour."""

    requires: tuple[int, ...] = ()
    opening: Act = Act()
    closing: Act = Act()
    host: Host = Host.NOTHING
    dies_after: float = math.inf
    startup_timeout: float | None = None
    shutdown_timeout: float | None = None
    suppresses: bool = False


class Anchor(enum.Enum):
    START = "the start"
    COMPLETE = "the end of the startup"
    SHUTDOWN = "the begin of the shutdown"


@dataclass(frozen=True)
class Cancellation:
    """When the lifespan's task is cancelled, or every task of the loop in a random order."""

    anchor: Anchor = Anchor.START
    seconds: float = 0.0
    turns: int = 0
    everything: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Scenario:
    plans: tuple[Plan, ...] = ()
    last: Plan | None = None
    startup_timeout: float | None = None
    shutdown_timeout: float | None = None
    service: float = 10.0
    cancellations: tuple[Cancellation, ...] = ()
    waits_with_timeout: bool = False
    receive_fails: bool = False
    failing_send: int | None = None
    task_factory: Any = None
