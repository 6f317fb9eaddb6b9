"""The functions and classes that a resource can be made from."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any, cast

from .errors import ResourceDeclarationError

__all__ = ("is_async_manager", "is_manager", "origin", "read")

_APPLICATION_TYPE = re.compile(r"\b(\w*App|\w*Application|ASGIHandler|FastAPI|Starlette)\b")


def origin(factory: Any) -> str:
    """Return where *factory* is defined: dotted module and qualified name."""
    return f"{factory.__module__}.{getattr(factory, '__qualname__', type(factory).__name__)}"


def read(factory: Any) -> tuple[bool, bool]:
    """Return whether *factory* is an async generator function, and takes the application.

    Raises:
        ResourceDeclarationError: it cannot be a factory, or needs anything else.
    """
    _validate(factory)
    return inspect.isasyncgenfunction(factory), _takes_application(factory)


def _validate(factory: object) -> None:
    """Refuse an object that cannot be a factory.

    Raises:
        ResourceDeclarationError: it is an instance, or a function that nothing would close.
    """
    if isinstance(factory, str):
        raise ResourceDeclarationError(
            f"resource() was called with the string {factory!r}, and takes a function. To name a "
            f"resource, write '@resource(name={factory!r})' above its function. "
            f"[lifespan-string]"
        )
    kind = type(factory)
    # An instance that is a context manager may be callable as well.
    if is_async_manager(kind) or is_manager(kind) or not callable(factory):
        raise ResourceDeclarationError(
            f"{factory!r} is an instance; what is wanted is a function, because each lifespan "
            f"opens the resource anew. Write '@resource' above a generator function that yields "
            f"the object, or pass a function that makes it. [lifespan-instance]"
        )
    if inspect.iscoroutinefunction(factory):
        raise ResourceDeclarationError(
            f"{origin(factory)} is a coroutine function without 'yield', so nothing would close "
            f"what it opens. Yield the value instead of returning it, and close it after "
            f"the yield. [lifespan-no-yield]"
        )


def _takes_application(factory: Callable[..., Any]) -> bool:
    """Return whether *factory* is called with the application.

    Raises:
        ResourceDeclarationError: it needs anything else.
    """
    required = _required_parameters(factory)
    if not required:
        return False
    first, *more = required
    if not more and first.kind is not first.KEYWORD_ONLY and _means_application(factory, first):
        return True
    names = ", ".join(repr(parameter.name) for parameter in required)
    if first.name == "self":
        remedy = (
            "It is a method, and there is no object to call it on. Declare a function of a module."
        )
    else:
        remedy = (
            "To use other resources, call .get() on them, and name them in requires=[...]. "
            "To pass arguments, write a function: resource(lambda: "
            f"{getattr(factory, '__name__', 'function')}(...), name='...')."
        )
    raise ResourceDeclarationError(
        f"{origin(factory)} takes the parameter{'s' if more else ''} {names}, and the lifespan has "
        f"nothing to pass but the application, as the only one, named 'app' or 'application' or "
        f"annotated as an ASGI application. {remedy} [lifespan-parameter]"
    )


def _means_application(factory: Any, parameter: inspect.Parameter) -> bool:
    """Return whether *parameter* is meant to get an ASGI application, by name or annotation."""
    if parameter.name in ("app", "application"):
        return True
    annotation: Any = getattr(parameter.annotation, "__forward_arg__", parameter.annotation)
    if isinstance(annotation, str):
        annotation = getattr(sys.modules.get(factory.__module__), annotation, annotation)
    if isinstance(annotation, str):  # it names a type that only type checkers import, or several
        return _APPLICATION_TYPE.search(annotation) is not None
    return _is_application_type(annotation)


def _is_application_type(annotation: object) -> bool:
    """Return whether *annotation* is a type of callables that take scope, receive and send."""
    arguments = typing.get_args(annotation)
    if arguments and isinstance(arguments[0], list):  # Callable[[...], ...]
        return len(cast("list[object]", arguments[0])) == 3
    if arguments:
        return any(map(_is_application_type, arguments))
    code: object = getattr(getattr(annotation, "__call__", None), "__code__", None)  # noqa: B004 - a type
    return isinstance(code, CodeType) and code.co_varnames[1:4] == ("scope", "receive", "send")


def is_async_manager(kind: object) -> bool:
    """Return whether instances of *kind* work with ``async with``."""
    return hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__")


def is_manager(kind: object) -> bool:
    """Return whether instances of *kind* work with ``with``."""
    return hasattr(kind, "__enter__") and hasattr(kind, "__exit__")


def _required_parameters(factory: Callable[..., Any]) -> list[inspect.Parameter]:
    if type(factory) is FunctionType and not hasattr(factory, "__wrapped__"):
        code = factory.__code__  # inspect.signature takes twenty times as long
        if code.co_argcount + code.co_kwonlyargcount == 0:
            return []
    try:
        parameters = _signature(factory).parameters.values()
    except ValueError:  # some callables written in C have no signature
        return []
    return [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _signature(factory: Callable[..., Any]) -> inspect.Signature:
    # From Python 3.14 on, annotations may name types that only type checkers import.
    lazily = import_module("annotationlib").Format.FORWARDREF if sys.version_info >= (3, 14) else 0
    options: dict[str, Any] = {"annotation_format": lazily} if lazily else {}
    return inspect.signature(factory, **options)
