"""Finds the tasks and the calls of a server by the names of its functions.

A server keeps its requests to itself, but the tasks of its event loop can be listed. From Django
5.0 to 6.0 the handler of a request that is given up cancels the view when the client disconnects,
but leaves the view running when the handler itself is cancelled
(``ASGIHandler.handle``, django/core/handlers/asgi.py). So a stop disconnects the clients first,
and cancels the tasks only afterwards.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

__all__ = ("Call", "calls", "variables_on_stack")


class Call(NamedTuple):
    """One call of a coroutine function that has not returned.

    Attributes:
        task: the task in which it runs.
        variables: the local variables of the call, by name.
    """

    task: asyncio.Task[Any]
    variables: dict[str, Any]


def calls(module: str, *functions: str) -> list[Call]:
    """Return the unfinished calls in this event loop of coroutine functions of *module*.

    The function of a task is found in any task. A function that it awaits is found in tasks other
    than the current one, as deep as one coroutine awaits the other.

    Args:
        module: the name of the module in which the functions are defined.
        functions: their qualified names, such as ``"LifespanOn.main"``.

    Raises:
        RuntimeError: asyncio cannot list the tasks of this event loop (granian's ``--task-impl
            rust`` before Python 3.12).
    """
    return [
        Call(task, frame.f_locals)
        for task in asyncio.all_tasks()
        for coroutine in _awaited(task.get_coro())
        if coroutine.__qualname__ in functions
        and (frame := coroutine.cr_frame) is not None
        and frame.f_globals.get("__name__") == module
    ]


def variables_on_stack(function: Callable[..., Any] | str) -> Mapping[str, Any] | None:
    """Return the local variables of the innermost call of *function* that this thread is in.

    Args:
        function: a function, or the name of one.
    """
    for frame in _stack():
        code = frame.f_code
        if code.co_name == function or code == getattr(function, "__code__", None):
            return frame.f_locals
    return None


def _awaited(coroutine: Any) -> Iterator[Any]:
    while inspect.iscoroutine(coroutine):
        yield coroutine
        coroutine = coroutine.cr_await


def _stack() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
