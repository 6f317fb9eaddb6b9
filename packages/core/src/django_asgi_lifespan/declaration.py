"""Resource: the declaration of one thing that is opened at startup and closed at shutdown."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from inspect import CO_ASYNC_GENERATOR
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .lifespans import current_view, lifespans

if TYPE_CHECKING:
    from .overriding import Override

__all__ = ("Resource",)

_running, _anywhere = lifespans.running, lifespans.anywhere
_running_loop = asyncio._get_running_loop  # get_running_loop() would raise in sync code: 0.5 us

T_co = TypeVar("T_co", covariant=True)


class Resource(Generic[T_co]):
    """One object that is opened at startup and closed at shutdown. ``@resource`` makes it.

    Attributes:
        factory: the function or class that it was made from.
        name: its key in the state, unique in the project.
        declared_name: the same, unless the settings have another name for it.
        requires: the resources, or names of resources, that start before it and stop after it.
        startup_timeout, shutdown_timeout: its limits in seconds. None sets no limit of its own.
        keep_connections: whether its database connections stay open while it is open.
        check: the function that tells from the open object whether it works, if any.
        module: the name of the module that declares it.
        merged: whether a mapping that it yields goes into the state key by key.
        overrides: the value that stands in for it, if any.
        replacement: the resource that is opened in its place, if any.
    """

    module = ""
    overrides: Sequence[Any] = ()
    replacement: Resource[Any] | None = None

    def __init__(
        self,
        factory: Callable[..., Any],
        *,
        name: str | None = None,
        requires: Iterable[Resource[Any] | str] = (),
        startup_timeout: float | None = None,
        shutdown_timeout: float | None = None,
        keep_connections: bool = False,
        check: Callable[[Any], object] | None = None,
    ) -> None:
        self.factory = factory
        self._is_async_generator, self._takes_application = _read(factory)
        self.name: str = name if name is not None else getattr(factory, "__name__", "")
        self.requires = self._read_requires(requires)
        self.startup_timeout = startup_timeout
        self.shutdown_timeout = shutdown_timeout
        self.keep_connections = keep_connections
        self.check = check
        self._validate_options()
        self.declared_name = self.name
        self.merged = self._takes_application

    def __repr__(self) -> str:
        return f"<Resource {self.name} from {self.origin}>"

    @property
    def origin(self) -> str:
        """Where the resource's factory is defined: dotted module and qualified name."""
        from .factories import origin

        return origin(self.factory)

    def get(self) -> T_co:
        """Return the object that the resource yielded in the running lifespan.

        Inside a resource, and in the tasks and threads that it starts, the lifespan of that
        resource answers, for the resources that it requires. Elsewhere it is the one of the running
        event loop, or of the event loop that called this sync code, or the only one of the process.
        In the block of ``run_lifespan()`` or ``run_lifespan_sync()`` it is the one of the block.

        Raises:
            ResourceUnavailableError: there is no value to return. The message says why.
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

    @overload
    def override(self, value: Any) -> Override: ...
    @overload
    def override(self, *, factory: Callable[..., Any]) -> Override: ...
    def override(self, value: Any = ..., *, factory: Callable[..., Any] | None = None) -> Override:
        """Stand in for the resource in tests: ``with`` a block, or above a function or test class.

        With a value, ``get()`` returns it everywhere in the process, and a lifespan that starts
        meanwhile does not open the resource, and has the value in its state. With
        ``factory=``, a lifespan that starts meanwhile opens that function in place of the
        resource's own. Blocks may nest.
        """
        from .overriding import Override

        return Override(self, value, factory)

    def open(self) -> AsyncGenerator[T_co]:
        """Return a new generator that opens the resource, yields once, and closes it."""
        if self.replacement is not None:
            return self.replacement.open()
        make: Any = self.factory
        if self._takes_application:
            view = current_view.get()
            make = functools.partial(make, view and view.lifespan.application)
        return make() if self._is_async_generator else self._manage(make)

    async def _manage(self, make: Callable[[], Any]) -> AsyncGenerator[Any]:
        from .opening import make_manager

        async with make_manager(self.factory, make, self.name) as value:
            yield value

    def _read_requires(self, requires: Any) -> tuple[Resource[Any] | str, ...]:
        if type(requires) in (tuple, list):
            return tuple(requires)
        from .options import read_requires

        return read_requires(self, requires, Resource)

    def _validate_options(self) -> None:
        options = (self.startup_timeout, self.shutdown_timeout, self.check)
        if (
            options == (None, None, None)
            and isinstance(cast("object", self.name), str)
            and self.name.isidentifier()
            and all(
                isinstance(each, (Resource, str))
                for each in cast("tuple[object, ...]", self.requires)
            )
        ):
            return  # most have no others, and need no closer look
        from .options import validate

        validate(self, Resource)


def _read(factory: object) -> tuple[bool, bool]:
    """Return whether *factory* is an async generator function, and takes the application.

    Most are such functions without parameters, and need no closer look.

    Raises:
        ResourceDeclarationError: it is no factory.
    """
    if type(factory) is FunctionType and not hasattr(factory, "__wrapped__"):
        code = factory.__code__
        is_async_generator = bool(code.co_flags & CO_ASYNC_GENERATOR)
        if is_async_generator and not code.co_argcount and not code.co_kwonlyargcount:
            return True, False
    from .factories import read

    return read(factory)


_look_up: Callable[[Any], Any] | None = None


def _load_lookup() -> Callable[[Any], Any]:
    """Return the lookup with explanations, which a process may never need."""
    global _look_up
    from .lookup import find

    _look_up = find
    return find
