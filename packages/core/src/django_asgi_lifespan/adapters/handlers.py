"""Lets a thread call the handlers of OS signals, for a main thread that waits for a lock.

Python calls handlers in the main thread alone. There one handler interrupts another, and waits for
ever if that one holds a lock which both take. And no wait of the main thread ends where the system
gives an OS signal to another thread.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType

__all__ = ("call_handlers_in_thread", "has_heard", "take_handlers_back")

_handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
_heard: set[int] = set()


def call_handlers_in_thread(numbers: Iterable[int]) -> None:
    """Let a thread call the present handlers of the OS signals *numbers*, one after the other.

    Call it in the main thread, and again when the server has set its handlers anew. On Windows
    nothing changes.
    """
    for number in numbers if sys.platform != "win32" else ():
        handler = signal.getsignal(number)
        if callable(handler) and handler is not _leave_to_the_thread:
            if not _handlers:
                _begin()
            _handlers[number] = handler
            signal.signal(number, _leave_to_the_thread)


def has_heard(*numbers: int) -> bool:
    """Return whether one of these OS signals has come since the thread calls their handlers.

    It is so as soon as the main thread runs, even if no handler has run yet.
    """
    return not _heard.isdisjoint(numbers)


def take_handlers_back() -> None:
    """Let the main thread call them again, in a process that was forked."""
    signal.set_wakeup_fd(-1)
    for number, handler in _handlers.items():
        signal.signal(number, handler)
    _handlers.clear()
    _heard.clear()


def _begin() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_call, args=(read,), name="OS signals", daemon=True).start()


def _call(read: int) -> None:
    while True:
        [number] = os.read(read, 1)
        if number in _handlers:
            _handlers[number](number, None)


def _leave_to_the_thread(number: int, frame: FrameType | None) -> None:
    """Take note, before any code in the main thread that the OS signal has woken runs."""
    _heard.add(number)
