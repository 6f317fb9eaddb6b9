"""How a factory is called and entered: in the event loop, or in the thread of the resource."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, cast, get_origin

from .errors import ResourceDeclarationError
from .factories import is_async_manager, is_manager, origin
from .own_thread import end_thread_here
from .threads import InThread, run_in_thread

__all__ = ("make_manager",)


def make_manager(
    factory: Any, make: Callable[[], Any], name: str
) -> AbstractAsyncContextManager[Any, bool | None]:
    """Return an async context manager for one lifespan of the resource *name*.

    A synchronous factory is called in the thread of the resource, so that it cannot block the
    event loop.

    Args:
        make: calls *factory*, with the application where it takes that.

    Raises:
        ResourceDeclarationError: on entry, where *factory* returned no context manager.
    """
    if inspect.isgeneratorfunction(factory):
        return InThread(contextlib.contextmanager(make), name)
    return _manage(make, name, origin(factory), in_loop=is_async_manager(_made_by(factory)))


@contextlib.asynccontextmanager
async def _manage(
    make: Callable[[], Any], name: str, place: str, *, in_loop: bool
) -> AsyncGenerator[Any]:
    made = make() if in_loop else await _call_in_thread(make, name)
    manager = _as_manager(made, name)
    if manager is None:
        if inspect.iscoroutine(made):
            made.close()
        raise ResourceDeclarationError(
            f"The resource {name} ({place}) returned {made!r}, which is no context "
            f"manager. Yield the value from a generator function, or return an object that works "
            f"with 'async with' or 'with'. [lifespan-no-manager]"
        )
    if not isinstance(manager, InThread):
        await end_thread_here()
    async with manager as value:
        yield value


async def _call_in_thread(make: Callable[[], Any], name: str) -> Any:
    """Call *make* in the thread of the resource, unless it asks for the running event loop."""
    try:
        return await run_in_thread(make, name=name)
    except RuntimeError as error:
        if "event loop" not in str(error):
            raise
        return make()


def _as_manager(made: object, name: str) -> AbstractAsyncContextManager[Any, bool | None] | None:
    if is_async_manager(type(made)):
        return cast("AbstractAsyncContextManager[Any, bool | None]", made)
    if is_manager(type(made)):
        return InThread(lambda: cast("Any", made), name)
    # Below a lambda or a decorator, the function does not show that it is a generator function.
    generator: Any = made
    if isinstance(made, AsyncIterator):
        return contextlib.asynccontextmanager(lambda: generator)()
    if isinstance(made, Iterator):
        return InThread(contextlib.contextmanager(lambda: generator), name)
    return None


def _made_by(factory: Any) -> object:
    """Return the class of what *factory* returns, as far as it can be known without a call."""
    while isinstance(factory, functools.partial):
        factory = cast("Any", factory).func
    if isinstance(factory, type):
        return cast("object", factory)
    if inspect.isasyncgenfunction(inspect.unwrap(factory)):
        return AbstractAsyncContextManager
    try:
        returned: object = inspect.signature(factory, eval_str=True).return_annotation
    except Exception:  # there is none, or it names something that only type checkers import
        return None
    return get_origin(returned) or returned
