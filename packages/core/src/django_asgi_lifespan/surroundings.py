"""The code around the application, as the stack shows it: servers, wrappers, other applications."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Iterator
from types import FrameType

__all__ = ("callers", "module_of", "modules_of_all_threads", "name_of", "stack", "type_name")

_LOOPS = ("asyncio.events", "asyncio.base_events", "asyncio.runners", "uvloop")
"""The modules that call the first function of a task."""


def stack(frame: FrameType | None = None) -> Iterator[FrameType]:
    """Yield *frame*, by default that of this thread, and its callers outside of our packages."""
    each = frame or inspect.currentframe()
    while each is not None:
        if not module_of(each).startswith("django_asgi_lifespan"):
            yield each
        each = each.f_back


def modules_of_all_threads() -> set[str]:
    """Return the names of the modules whose code runs in any thread."""
    threads = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - it is documented
    return {module_of(frame) for thread in threads.values() for frame in stack(thread)}


def callers() -> Iterator[FrameType]:
    """Yield the frames of the running task that called this, as far as the event loop."""
    return itertools.takewhile(lambda frame: module_of(frame) not in _LOOPS, stack())


def module_of(frame: FrameType) -> str:
    """Return the name of the module whose code runs in *frame*."""
    return str(frame.f_globals.get("__name__", ""))


def name_of(frame: FrameType) -> str:
    """Return the dotted name of the class or function whose code runs in *frame*."""
    owner = frame.f_locals.get("self")
    if owner is not None:
        return type_name(owner)
    return f"{module_of(frame)}.{getattr(frame.f_code, 'co_qualname', frame.f_code.co_name)}"


def type_name(instance: object) -> str:
    """Return the dotted name of the class of *instance*."""
    return f"{type(instance).__module__}.{type(instance).__qualname__}"
