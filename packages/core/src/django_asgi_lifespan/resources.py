"""The decorator ``resource()``, and the other names that declarations need."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar, overload

from .declaration import Resource
from .errors import ResourceDeclarationError, did_you_mean
from .registry import discover, registry

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing since Python 3.11

__all__ = ("Resource", "discover", "registry", "resource")

T = TypeVar("T")


if TYPE_CHECKING:

    class NoString(Protocol):
        """A collection of resources and names. A string is none: it searches only for strings."""

        def __contains__(self, item: object, /) -> bool: ...
        def __iter__(self) -> Iterator[Resource[Any] | str]: ...

    Those = NoString | Iterator[Resource[Any] | str]

    class ResourceOptions(TypedDict, total=False):
        """The options of ``@resource``."""

        name: str | None
        requires: Those
        startup_timeout: float | None
        shutdown_timeout: float | None
        keep_connections: bool
        check: Callable[[Any], object] | None

    T_co = TypeVar("T_co", covariant=True)
    ApplicationT = TypeVar("ApplicationT", bound=Callable[[Any, Any, Any], Awaitable[None]])

    class _TakesApp(Protocol[T_co]):
        def __call__(self, app: Any) -> AbstractAsyncContextManager[T_co, bool | None]: ...

    class _TakesApplication(Protocol[T_co]):
        def __call__(self, application: Any) -> AbstractAsyncContextManager[T_co, bool | None]: ...

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
        def __call__(self, factory: _TakesApp[T], /) -> Resource[T]: ...
        @overload
        def __call__(self, factory: _TakesApplication[T], /) -> Resource[T]: ...
        @overload
        def __call__(
            self,
            factory: Callable[[ApplicationT], AbstractAsyncContextManager[T, bool | None]],
            /,
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
        factory: _TakesApp[T],
        /,
        **options: Unpack[ResourceOptions],
    ) -> Resource[T]: ...
    @overload
    def resource(
        factory: _TakesApplication[T],
        /,
        **options: Unpack[ResourceOptions],
    ) -> Resource[T]: ...
    @overload
    def resource(
        factory: Callable[[ApplicationT], AbstractAsyncContextManager[T, bool | None]],
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
    keep_connections: bool = False,
    check: Callable[[Any], object] | None = None,
    **unknown: object,
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
        keep_connections: whether Django's database connections that it opens stay open while it
            is open, for an advisory lock or a LISTEN. By default they are closed when it has
            opened, and again when it has closed.
        check: a function that takes the open object, and returns False or raises if it does not
            work. Probes call it. It may be async. A plain function runs in a thread.

    Returns:
        A Resource whose ``.get()`` returns the opened object.

    Raises:
        ResourceDeclarationError: for a declaration that cannot work.
    """
    if unknown:
        raise ResourceDeclarationError(_explain_unknown(*unknown))

    def declare(factory: Any) -> Resource[Any]:
        declared: Resource[Any] = Resource(
            factory,
            name=name,
            requires=requires,
            startup_timeout=startup_timeout,
            shutdown_timeout=shutdown_timeout,
            keep_connections=keep_connections,
            check=check,
        )
        registry.add(declared)
        return declared

    return declare if factory is None else declare(factory)


_signature = inspect.signature(resource)
_parameters = [*_signature.parameters.values()][:-1]  # unknown options are taken to be refused
vars(resource)["__signature__"] = _signature.replace(parameters=_parameters)


def _explain_unknown(option: str, *_: str) -> str:
    options = [parameter.name for parameter in _parameters[1:]]
    return (
        f"@resource has no option {option!r}. {did_you_mean(option, options)}The options are "
        f"{', '.join(options)}. [lifespan-unknown-option]"
    )
