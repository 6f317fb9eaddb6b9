"""The functions and classes that a resource can be made from, and how each kind is opened."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import FunctionType
from typing import Any, cast

from .errors import ResourceDeclarationError

__all__ = ("is_async_generator_function", "make_manager", "origin", "takes_application", "validate")


def origin(factory: Any) -> str:
    """Return where *factory* is defined: dotted module and qualified name."""
    return f"{factory.__module__}.{getattr(factory, '__qualname__', type(factory).__name__)}"


def validate(factory: object) -> None:
    """Refuse an object that cannot be a factory.

    Raises:
        ResourceDeclarationError: it is an instance, or a function that nothing would close.
    """
    kind = type(factory)
    is_manager = _is_async_manager(kind) or _is_manager(kind)  # which may be callable as well
    if is_manager or not callable(factory):
        raise ResourceDeclarationError(
            f"{factory!r} is an instance; what is wanted is a function, because each lifespan "
            f"opens the resource anew. Write '@resource' above a generator function that yields "
            f"the object, or pass a function that makes it."
        )
    if not is_async_generator_function(factory) and inspect.iscoroutinefunction(factory):
        raise ResourceDeclarationError(
            f"{origin(factory)} is a coroutine function without 'yield', so nothing would close "
            f"what it opens. Yield the value instead of returning it, and close it after "
            f"the yield."
        )


def takes_application(factory: Callable[..., Any]) -> bool:
    """Return whether *factory* is called with the application.

    Raises:
        ResourceDeclarationError: it needs anything else.
    """
    required = _required_parameters(factory)
    if not required:
        return False
    first, *more = required
    if first.kind is first.KEYWORD_ONLY or more:
        names = ", ".join(repr(parameter.name) for parameter in required)
        raise ResourceDeclarationError(
            f"{origin(factory)} takes the parameters {names}, and the lifespan has nothing to pass "
            f"but the application, as the only one. Call .get() on the resources that it needs, "
            f"and name them in requires=[...]."
        )
    return True


def is_async_generator_function(factory: Any) -> bool:
    """Return whether a call of *factory* makes an async generator."""
    if type(factory) is FunctionType:  # inspect takes ten times as long
        return bool(factory.__code__.co_flags & inspect.CO_ASYNC_GENERATOR)
    return inspect.isasyncgenfunction(factory)


def make_manager(
    factory: Any, make: Callable[[], Any], name: str
) -> AbstractAsyncContextManager[Any, bool | None]:
    """Return an async context manager for one lifespan of the resource *name*.

    Args:
        make: calls *factory*, with the application where it takes that.

    Raises:
        ResourceDeclarationError: *factory* returned an object that is no context manager.
    """
    from .threads import InThread  # asynchronous resources do without

    if inspect.isgeneratorfunction(factory):
        return InThread(contextlib.contextmanager(make), name)
    if isinstance(factory, type) and not _is_async_manager(factory) and _is_manager(factory):
        return InThread(make, name)
    manager: object = make()
    if _is_async_manager(type(manager)):
        return cast("AbstractAsyncContextManager[Any, bool | None]", manager)
    if _is_manager(type(manager)):
        return InThread(lambda: cast("Any", manager), name)
    if inspect.iscoroutine(manager):
        manager.close()
    raise ResourceDeclarationError(
        f"The resource {name} ({origin(factory)}) returned {manager!r}, which is no context "
        f"manager. Yield the value from a generator function, or return an object that works "
        f"with 'async with' or 'with'."
    )


def _required_parameters(factory: Callable[..., Any]) -> list[inspect.Parameter]:
    if type(factory) is FunctionType and not hasattr(factory, "__wrapped__"):
        code = factory.__code__  # inspect.signature takes twenty times as long
        if code.co_argcount + code.co_kwonlyargcount == 0:
            return []
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # some callables written in C have no signature
        return []
    return [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _is_async_manager(kind: type[Any]) -> bool:
    return hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__")


def _is_manager(kind: type[Any]) -> bool:
    return hasattr(kind, "__enter__") and hasattr(kind, "__exit__")
