"""Resources: what a project opens at startup and closes at shutdown, and their registry."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypedDict, TypeVar, cast, overload

from django.utils.module_loading import autodiscover_modules

from .conf import lifespan_settings, timeout
from .errors import ResourceDeclarationError
from .lifespans import current_view, lifespans

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing since Python 3.11

__all__ = ("Manager", "Registry", "Resource", "discover", "registry", "resource")

_running, _anywhere = lifespans.running, lifespans.anywhere
_running_loop = asyncio._get_running_loop  # get_running_loop() would raise in sync code: 0.5 us

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Resource(Generic[T_co]):
    """One thing that is opened at startup and closed at shutdown; made by ``@resource``.

    Attributes:
        factory: the function or class that it was made from.
        name: its key in the state, unique in the project.
        requires: the resources, or names of resources, that start before it and stop after it.
        startup_timeout, shutdown_timeout: its limits in seconds; None sets no limit of its own.
        merged: whether a mapping that it yields goes into the state key by key.
        position: its place among what is merged into the state.
    """

    position = 0.0

    def __init__(
        self,
        factory: Callable[..., Any],
        *,
        name: str | None = None,
        requires: Iterable[Resource[Any] | str] = (),
        startup_timeout: float | None = None,
        shutdown_timeout: float | None = None,
    ) -> None:
        self.factory = factory
        self.name: str = name if name is not None else getattr(factory, "__name__", "")
        self.requires = tuple(requires)
        self.startup_timeout = startup_timeout
        self.shutdown_timeout = shutdown_timeout
        self.overrides: list[Any] = []
        self._is_async_generator = _is_async_generator_function(factory)
        _validate_factory(factory, self)
        self._validate_options()
        self._takes_application = _takes_application(factory, self)
        self.merged = self._takes_application

    def __repr__(self) -> str:
        return f"<Resource {self.name} from {self.origin}>"

    @property
    def origin(self) -> str:
        """Where the resource's factory is defined: dotted module and qualified name."""
        return _origin(self.factory)

    def get(self) -> T_co:
        """Return what the resource yielded in the running lifespan.

        Inside a resource, and in the tasks and threads that it starts, the lifespan of that
        resource answers, for the resources that it requires. Elsewhere it is the one of the running
        event loop, or of the event loop that called this sync code, or the only one of the process.
        In the block of ``run_lifespan()`` or ``run_lifespan_sync()`` it is the one of the block.

        Raises:
            ResourceUnavailableError: where there is no value to return; the message says why.
        """
        value: T_co
        if self.overrides:
            value = self.overrides[-1]
            return value
        view = current_view.get()
        try:
            if view is not None:
                lifespan = view.lifespan if view.may_get(self) else None
            elif (loop := _running_loop()) is not None:
                [lifespan] = _running[loop]
            elif len(_anywhere) == 1:
                [lifespan] = _anywhere
            else:
                lifespan = lifespans.of_sync_code()
            if lifespan is not None:
                value = lifespan.values[self]
                return value
        except (KeyError, ValueError):  # there is none, or several: look closer
            pass
        value = (_look_up or _load_lookup())(self)
        return value

    @contextlib.contextmanager
    def override(self, value: Any) -> Generator[None]:
        """Have ``get()`` return *value* everywhere in the process, for tests; it nests.

        A lifespan that starts inside does not open the resource, and has *value* in its state.
        """
        self.overrides.append(value)
        try:
            yield
        finally:
            self.overrides.pop()

    def open(self) -> AsyncGenerator[T_co]:
        """Return a new generator that opens the resource, yields once, and closes it."""
        make: Any = self.factory
        if self._takes_application:
            view = current_view.get()
            make = functools.partial(make, view and view.lifespan.application)
        return make() if self._is_async_generator else self._manage(make)

    async def _manage(self, make: Any) -> AsyncGenerator[Any]:
        async with self._make_manager(make) as value:
            yield value

    def _make_manager(self, make: Any) -> AbstractAsyncContextManager[Any, bool | None]:
        from .threads import InThread  # what is asynchronous does without

        if inspect.isgeneratorfunction(make):
            return InThread(contextlib.contextmanager(make), self.name)
        if isinstance(make, type) and not _is_async_manager(make) and _is_manager(make):
            return InThread(make, self.name)
        manager: object = make()
        if _is_async_manager(type(manager)):
            return cast("AbstractAsyncContextManager[Any, bool | None]", manager)
        if _is_manager(type(manager)):
            return InThread(lambda: cast("Any", manager), self.name)
        if inspect.iscoroutine(manager):
            manager.close()
        raise ResourceDeclarationError(
            f"The resource {self.name} ({self.origin}) returned {manager!r}, which is no context "
            f"manager. Yield the value from a generator function, or return an object that works "
            f"with 'async with' or 'with'."
        )

    def _validate_options(self) -> None:
        if not self.name.isidentifier():
            raise ResourceDeclarationError(
                f"{self.origin} needs a name that is a Python identifier, not {self.name!r}: "
                f"resource(..., name='...')."
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


_look_up: Callable[[Any], Any] | None = None


def _load_lookup() -> Callable[[Any], Any]:
    """Return the lookup with explanations, which a process may never need."""
    global _look_up
    from .lookup import find

    _look_up = find
    return find


class Manager(Resource[Mapping[str, Any]]):
    """A resource without a name, whose mapping goes into the state key by key.

    Args:
        factory: the function that makes the context manager.
        position: how many receivers of ``asgi_lifespan``, whose managers stand between the
            registered ones, were connected before it.
    """

    def __init__(self, factory: Callable[..., Any], *, position: float) -> None:
        super().__init__(factory, name="manager")
        self.position = position
        self.merged = True
        self.name = self.origin

    async def open(self) -> AsyncGenerator[Mapping[str, Any]]:
        """Return a generator that refuses what is not a mapping."""
        async with contextlib.asynccontextmanager(super().open)() as value:
            if not isinstance(cast("object", value), Mapping):
                raise ResourceDeclarationError(
                    f"The lifespan manager {self.name} yielded {value!r}; it must yield a mapping "
                    f"to be merged into the state."
                )
            yield value


def _validate_factory(factory: object, owner: Resource[Any]) -> None:
    kind = type(factory)
    is_manager = _is_async_manager(kind) or _is_manager(kind)  # which may be callable as well
    if is_manager or not callable(factory) or isinstance(factory, Resource):
        raise ResourceDeclarationError(
            f"{factory!r} is an instance; what is wanted is a function, because each lifespan "
            f"opens the resource anew. Write '@resource' above a generator function that yields "
            f"the object, or pass a function that makes it."
        )
    if not _is_async_generator_function(factory) and inspect.iscoroutinefunction(factory):
        raise ResourceDeclarationError(
            f"{owner.origin} is a coroutine function without 'yield', so nothing would close "
            f"what it opens. Yield the value instead of returning it, and close it after "
            f"the yield."
        )


def _takes_application(factory: Callable[..., Any], owner: Resource[Any]) -> bool:
    """Return whether *factory* is called with the application; raise if it needs anything else."""
    required = _required_parameters(factory)
    if not required:
        return False
    first, *more = required
    if first.kind is first.KEYWORD_ONLY or more:
        names = ", ".join(repr(parameter.name) for parameter in required)
        raise ResourceDeclarationError(
            f"{owner.origin} takes the parameters {names}, and the lifespan has nothing to pass "
            f"but the application, as the only one. Call .get() on the resources that it needs, "
            f"and name them in requires=[...]."
        )
    return True


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


def _is_async_generator_function(factory: Any) -> bool:
    if type(factory) is FunctionType:  # inspect takes ten times as long
        return bool(factory.__code__.co_flags & inspect.CO_ASYNC_GENERATOR)
    return inspect.isasyncgenfunction(factory)


def _origin(factory: Any) -> str:
    return f"{factory.__module__}.{getattr(factory, '__qualname__', type(factory).__name__)}"


def _is_async_manager(kind: type[Any]) -> bool:
    return hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__")


def _is_manager(kind: type[Any]) -> bool:
    return hasattr(kind, "__enter__") and hasattr(kind, "__exit__")


if TYPE_CHECKING:

    class ResourceOptions(TypedDict, total=False):
        """The options of ``@resource``."""

        name: str | None
        requires: Iterable[Resource[Any] | str]
        startup_timeout: float | None
        shutdown_timeout: float | None

    class _Decorator(Protocol):
        """What ``@resource(...)`` with options returns."""

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


def resource(factory: Any = None, /, **options: Any) -> Any:
    """Declare a resource: opened once per worker before the first request, closed after the last.

    Use it bare or with options, above an async or a plain generator function that yields the
    opened object once, or by call on a function or class that returns an async or a plain
    context manager. Plain ones are opened and closed in a thread of their own. A function
    with one parameter gets the application, and a mapping that it yields goes into the state key
    by key, as Starlette has it.

    A resource is known from its declaration on; declare it in the ``lifespan.py`` of an installed
    Django app, which is imported by itself.

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
        factory: Any = declared.factory
        while hasattr(factory, "__wrapped__"):
            factory = factory.__wrapped__
        code = getattr(factory, "__code__", None)
        line = (code.co_filename, code.co_firstlineno) if code else id(declared)
        self._declared[declared.factory.__module__, line, declared.name] = declared

    def add_manager(self, manager: Manager) -> Callable[[], None]:
        """Add a manager, and return what removes it again."""
        self._declared[manager] = manager

        def remove() -> None:
            self._declared.pop(manager, None)

        return remove

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
            if isinstance(declared, Manager):
                continue
            other = by_name.setdefault(declared.name, declared)
            if other is not declared:
                raise ResourceDeclarationError(
                    f"Two resources are named {declared.name!r}: {other.origin} and "
                    f"{declared.origin}. Rename one, or give it @resource(name='...')."
                )
        return {
            declared: _required(by_name, declared) if declared.requires else ()
            for declared in self._declared.values()
            if not declared.overrides
        }

    def overridden(self) -> dict[str, Any]:
        """Return the values that stand in for resources now, by name."""
        declared = self._declared.values()
        return {each.name: each.overrides[-1] for each in declared if each.overrides}


def _required(
    by_name: dict[str, Resource[Any]], declared: Resource[Any]
) -> tuple[Resource[Any], ...]:
    found = [_find(by_name, declared, wanted) for wanted in declared.requires]
    return tuple(required for required in found if not required.overrides)


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


def discover() -> None:
    """Import the ``lifespan`` module of every installed Django app, unless the settings forbid it.

    Raises:
        ImproperlyConfigured: ``ASGI_LIFESPAN`` is wrong.
        Exception: whatever such a module raises.
    """
    if lifespan_settings().autodiscover:
        autodiscover_modules("lifespan")
