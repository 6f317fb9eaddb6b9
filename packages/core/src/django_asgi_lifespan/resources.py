"""The decorator ``resource()``, and the other names that declarations need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar, overload

from .declaration import Resource
from .registry import discover, registry

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing since Python 3.11

__all__ = ("Resource", "discover", "registry", "resource")

T = TypeVar("T")


if TYPE_CHECKING:

    class ResourceOptions(TypedDict, total=False):
        """The options of ``@resource``."""

        name: str | None
        requires: Iterable[Resource[Any] | str]
        startup_timeout: float | None
        shutdown_timeout: float | None

    class _Decorator(Protocol):
        """The result of ``@resource(...)`` with options."""

        @overload
        def __call__(
            self, factory: Callable[[], AbstractAsyncContextManager[T, bool | None]], /
        ) -> Resource[T]: ...
        @overload
        def __call__(
            self, factory: Callable[[], AbstractContextManager[T, bool | None]], /
        ) -> Resource[T]: ...
        @overload
        def __call__(self, factory: Callable[[], AsyncIterator[T]], /) -> Resource[T]: ...
        @overload
        def __call__(self, factory: Callable[[], Iterator[T]], /) -> Resource[T]: ...
        @overload
        def __call__(
            self, factory: Callable[[Any], AbstractAsyncContextManager[T, bool | None]], /
        ) -> Resource[T]: ...


if TYPE_CHECKING:  # a block of their own, or mypy misses their implementation

    @overload
    def resource(
        factory: Callable[[], AbstractAsyncContextManager[T, bool | None]],
        /,
        **options: Unpack[ResourceOptions],
    ) -> Resource[T]: ...
    @overload
    def resource(
        factory: Callable[[], AbstractContextManager[T, bool | None]],
        /,
        **options: Unpack[ResourceOptions],
    ) -> Resource[T]: ...
    @overload
    def resource(
        factory: Callable[[], AsyncIterator[T]],
        /,
        **options: Unpack[ResourceOptions],
    ) -> Resource[T]: ...
    @overload
    def resource(
        factory: Callable[[], Iterator[T]],
        /,
        **options: Unpack[ResourceOptions],
    ) -> Resource[T]: ...
    @overload
    def resource(
        factory: Callable[[Any], AbstractAsyncContextManager[T, bool | None]],
        /,
        **options: Unpack[ResourceOptions],
    ) -> Resource[T]: ...
    @overload
    def resource(**options: Unpack[ResourceOptions]) -> _Decorator: ...


def resource(
    factory: Any = None,
    /,
    *,
    name: str | None = None,
    requires: Iterable[Resource[Any] | str] = (),
    startup_timeout: float | None = None,
    shutdown_timeout: float | None = None,
) -> Any:
    """Declare a resource: opened once per worker before the first request, closed after the last.

    Use it bare or with options, above an async or a plain generator function that yields the
    opened object once, or by call on a function or class that returns an async or a plain
    context manager. Plain ones are opened and closed in a thread of their own. A function
    with one parameter gets the application, and a mapping that it yields goes into the state key
    by key, as Starlette has it.

    A resource is known from its declaration on. Declare it in the ``lifespan.py`` of an installed
    Django app, which is imported by itself.

    Args:
        name: its key in the state, by default the name of the function.
        requires: resources, or names of resources, to start before it and to stop after it.
        startup_timeout: seconds that it may take to open. By default it has no limit of its own.
        shutdown_timeout: seconds that it may take to close. By default it has no limit of its own.

    Returns:
        A Resource whose ``.get()`` returns the opened object.

    Raises:
        ResourceDeclarationError: for a declaration that cannot work.
    """

    def declare(factory: Any) -> Resource[Any]:
        declared: Resource[Any] = Resource(
            factory,
            name=name,
            requires=requires,
            startup_timeout=startup_timeout,
            shutdown_timeout=shutdown_timeout,
        )
        registry.add(declared)
        return declared

    return declare if factory is None else declare(factory)
