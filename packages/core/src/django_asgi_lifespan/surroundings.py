"""The code around the application, as the stack shows it: servers, wrappers, other applications."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType

__all__ = ("callers", "module_of", "name_of", "stack")

_LOOPS = ("asyncio.events", "asyncio.base_events", "asyncio.runners", "uvloop")
"""The modules that call the first function of a task."""


def stack() -> Iterator[FrameType]:
    """Yield the frames of this thread that are not of this package, innermost first."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if module_of(frame).partition(".")[0] != "django_asgi_lifespan":
            yield frame
        frame = frame.f_back


def callers() -> Iterator[FrameType]:
    """Yield those frames of the running task, as far as the event loop."""
    for frame in stack():
        if module_of(frame) in _LOOPS:
            return
        yield frame


def module_of(frame: FrameType) -> str:
    """Return the name of the module whose code runs in *frame*."""
    return str(frame.f_globals.get("__name__", ""))


def name_of(frame: FrameType) -> str:
    """Return the dotted name of the class or function whose code runs in *frame*."""
    owner = frame.f_locals.get("self")
    if owner is not None:
        return f"{type(owner).__module__}.{type(owner).__qualname__}"
    return f"{module_of(frame)}.{getattr(frame.f_code, 'co_qualname', frame.f_code.co_name)}"
