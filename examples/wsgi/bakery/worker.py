from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar

from django_asgi_lifespan import run_lifespan_sync

T = TypeVar("T")

stack = ExitStack()
running = None


def begin() -> None:
    global running
    running = stack.enter_context(run_lifespan_sync())


def end() -> None:
    stack.close()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    if running is None:
        raise RuntimeError("This process is no worker.")
    return running.run(coroutine)
