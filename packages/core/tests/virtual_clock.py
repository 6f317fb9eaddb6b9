"""An event loop whose clock jumps to the next timer: time limits are tested without waiting.

A stand-in for the real clock, for code that waits for nothing but timers and other tasks. A
test that waits for a socket, a thread or a process runs on the real clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    """Instead of blocking until the next timer is due, moves the clock there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        # Without a timer only a thread can wake the loop, or nothing can.
        ready = super().select(5 if timeout is None else 0)
        if not ready:
            if timeout is None:
                raise RuntimeError("deadlock: every task waits, and no timer is set")
            self.now += timeout
        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop in which a second passes as soon as there is nothing else to do."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def pass_time(self, seconds: float) -> None:
        """Let the clock go on while code blocks the event loop."""
        self._jumping.now += seconds


class LeakError(AssertionError):
    """A test left a task behind, or an exception that nobody looked at."""


def run(
    main: Coroutine[Any, Any, T],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = VirtualClockLoop,
) -> T:
    """Return the result of *main* in a new loop. Raise LeakError if anything is left."""
    loop = loop_factory()
    unretrieved: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unretrieved.append(context))
    try:
        result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        if left:
            raise LeakError(f"tasks left behind: {left}")
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        _end(loop)
    if unretrieved:
        raise LeakError(f"not retrieved: {unretrieved}")
    return result


def _end(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
