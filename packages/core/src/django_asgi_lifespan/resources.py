"""Resources: what a project opens at startup and closes at shutdown, and their registry."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from . import state
from .conf import timeout
from .errors import ResourceDeclarationError

__all__ = ("Resource", "resource")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Resource(Generic[T_co]):
    """One thing that is opened at startup and closed at shutdown; made by ``@resource``.

    Attributes:
        factory: the function or class that it was made from.
        name: its key in the state, unique in the project.
        requires: the resources, or names of resources, that start before it and stop after it.
        startup_timeout, shutdown_timeout: its limits in seconds; None sets no limit of its own.
    """

    def __init__(
        self,
        factory: Callable[[], Any],
        *,
        name: str | None = None,
        requires: Iterable[Resource[Any] | str] = (),
        startup_timeout: float | None = None,
        shutdown_timeout: float | None = None,
    ) -> None:
        self.name: str = name if name is not None else getattr(factory, "__name__", "")
        self.requires = tuple(requires)
        self.startup_timeout = startup_timeout
        self.shutdown_timeout = shutdown_timeout
        self.factory = factory
        self._validate()
        self._make = (
            contextlib.asynccontextmanager(factory)
            if inspect.isasyncgenfunction(factory)
            else factory
        )

    def __repr__(self) -> str:
        return f"<Resource {self.name} from {self.origin}>"

    @property
    def origin(self) -> str:
        """Where the resource's factory is defined: dotted module and qualified name."""
        factory = self.factory
        return f"{factory.__module__}.{getattr(factory, '__qualname__', type(factory).__name__)}"

    def get(self) -> T_co:
        """Return what the resource yielded in the running lifespan.

        In an event loop this is the newest lifespan of that loop; elsewhere, in sync views and
        threads, it is the only lifespan of the process. Inside a resource (and in the tasks and
        threads that it starts) only what that resource requires can be had.

        Raises:
            ResourceUnavailableError: where there is no value to return; the message says why.
        """
        value: T_co
        view = state.current_view.get()
        try:
            if view is None:
                value = state.running[asyncio.get_running_loop()][-1].values[self]
                return value
            if self in view.reachable:
                value = view.lifespan.values[self]
                return value
        except (KeyError, RuntimeError):  # not in this loop, or no loop here
            pass
        value = state.find(self)
        return value

    def open(self) -> AbstractAsyncContextManager[T_co, bool | None]:
        """Return a new context manager that opens the resource and closes it."""
        manager: Any = self._make()
        if not _is_async_context_manager(manager):
            if inspect.iscoroutine(manager):
                manager.close()
            raise ResourceDeclarationError(
                f"The resource {self.name} ({self.origin}) returned {manager!r}, which is no "
                f"async context manager. Yield the value from an async generator function, or "
                f"return an object that works with 'async with'."
            )
        return cast("AbstractAsyncContextManager[T_co, bool | None]", manager)

    def _validate(self) -> None:
        factory: Any = self.factory
        if not callable(factory) or isinstance(factory, Resource):
            raise ResourceDeclarationError(
                f"resource() got the instance {factory!r}; it takes a function, because each "
                f"lifespan opens the resource anew. Write '@resource' above an async generator "
                f"function that yields the object, or pass a function that makes it."
            )
        if inspect.iscoroutinefunction(factory):
            raise ResourceDeclarationError(
                f"{self.origin} is a coroutine function without 'yield', so nothing would close "
                f"what it opens. Yield the value instead of returning it, and close it after "
                f"the yield."
            )
        if inspect.isgeneratorfunction(factory):
            raise ResourceDeclarationError(
                f"{self.origin} is a plain generator function. Write 'async def'."
            )
        if not self.name.isidentifier():
            raise ResourceDeclarationError(
                f"{self.origin} needs a name that is a Python identifier, not {self.name!r}: "
                f"resource(..., name='...')."
            )
        required = _required_parameters(factory)
        if required:
            raise ResourceDeclarationError(
                f"{self.origin} takes the parameter {required[0]!r}, and the lifespan has nothing "
                f"to pass. Call .get() on the resources that it needs, and name them in "
                f"requires=[...]."
            )
        for requirement in cast("tuple[object, ...]", self.requires):
            if not isinstance(requirement, (Resource, str)):
                raise ResourceDeclarationError(
                    f"{self.name} requires {requirement!r}, which is neither a resource nor the "
                    f"name of one."
                )
        for option in ("startup_timeout", "shutdown_timeout"):
            try:
                timeout(getattr(self, option))
            except ValueError as error:
                raise ResourceDeclarationError(
                    f"{option} of {self.name} is {getattr(self, option)!r}; it must be {error}."
                ) from None


def _is_async_context_manager(manager: object) -> bool:
    return hasattr(type(manager), "__aenter__") and hasattr(type(manager), "__aexit__")


def _required_parameters(factory: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # some callables written in C have no signature
        return []
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


class _Decorator(Protocol):
    """What ``@resource(...)`` with options returns."""

    @overload
    def __call__(
        self, factory: Callable[[], AbstractAsyncContextManager[T, bool | None]], /
    ) -> Resource[T]: ...
    @overload
    def __call__(self, factory: Callable[[], AsyncIterator[T]], /) -> Resource[T]: ...


@overload
def resource(
    factory: Callable[[], AbstractAsyncContextManager[T, bool | None]],
    /,
    *,
    name: str | None = None,
    requires: Iterable[Resource[Any] | str] = (),
    startup_timeout: float | None = None,
    shutdown_timeout: float | None = None,
) -> Resource[T]: ...
@overload
def resource(
    factory: Callable[[], AsyncIterator[T]],
    /,
    *,
    name: str | None = None,
    requires: Iterable[Resource[Any] | str] = (),
    startup_timeout: float | None = None,
    shutdown_timeout: float | None = None,
) -> Resource[T]: ...
@overload
def resource(
    *,
    name: str | None = None,
    requires: Iterable[Resource[Any] | str] = (),
    startup_timeout: float | None = None,
    shutdown_timeout: float | None = None,
) -> _Decorator: ...
def resource(factory: Any = None, /, **options: Any) -> Any:
    """Declare a resource: opened once per worker before the first request, closed after the last.

    Use it bare or with options, above an async generator function that yields the opened object
    once, or by call on a function or class that returns an async context manager. A resource is
    known from its declaration on; declare it in the ``lifespan.py`` of an installed Django app,
    which is imported by itself.

    Args:
        name: its key in the state; by default the name of the function.
        requires: resources, or names of resources, to start before it and to stop after it.
        startup_timeout: seconds that it may take to open; by default no limit of its own.
        shutdown_timeout: seconds that it may take to close; by default no limit of its own.

    Returns:
        A Resource whose ``.get()`` returns the opened object.

    Raises:
        ResourceDeclarationError: for a declaration that cannot work.
    """

    def declare(factory: Any) -> Resource[Any]:
        declared: Resource[Any] = Resource(factory, **options)
        registry.add(declared)
        return declared

    return declare if factory is None else declare(factory)


class Registry:
    """The resources declared in this process, in the order of their declaration."""

    def __init__(self) -> None:
        self._declared: dict[object, Resource[Any]] = {}

    def add(self, declared: Resource[Any]) -> None:
        """Add a resource; one that was declared by the same line of the same module gives way.

        A module that failed in the middle is executed again when it is imported again.
        """
        code = getattr(inspect.unwrap(declared.factory), "__code__", None)
        line = (code.co_filename, code.co_firstlineno) if code else id(declared)
        self._declared[declared.factory.__module__, line, declared.name] = declared

    def names(self) -> list[str]:
        """Return the names of the declared resources, in the order of their declaration."""
        return [declared.name for declared in self._declared.values()]

    def resolve(self) -> dict[Resource[Any], tuple[Resource[Any], ...]]:
        """Return every declared resource with the resources that it requires.

        Raises:
            ResourceDeclarationError: for two resources of one name or an unknown requirement.
        """
        by_name: dict[str, Resource[Any]] = {}
        for declared in self._declared.values():
            other = by_name.setdefault(declared.name, declared)
            if other is not declared:
                raise ResourceDeclarationError(
                    f"Two resources are named {declared.name!r}: {other.origin} and "
                    f"{declared.origin}. Rename one, or give it @resource(name='...')."
                )
        return {
            declared: tuple(_find(by_name, declared, wanted) for wanted in declared.requires)
            for declared in by_name.values()
        }


def _find(
    by_name: dict[str, Resource[Any]], declared: Resource[Any], wanted: Resource[Any] | str
) -> Resource[Any]:
    name = wanted if isinstance(wanted, str) else wanted.name
    found = by_name.get(name)
    if found is not None and wanted in (found, name):
        return found
    close = difflib.get_close_matches(name, by_name, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise ResourceDeclarationError(
        f"{declared.name} ({declared.origin}) requires {name!r}, and no such resource is "
        f"declared. {hint}Declared are: {', '.join(sorted(by_name))}."
    )


registry = Registry()
