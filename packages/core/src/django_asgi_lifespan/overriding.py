"""Stand-ins for resources in tests: around a block, a function or a test class."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .errors import ResourceDeclarationError

if TYPE_CHECKING:
    from .declaration import Resource

if sys.version_info >= (3, 12):
    from inspect import iscoroutinefunction
else:
    from asgiref.sync import iscoroutinefunction

__all__ = ("Override",)

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])


class Override:
    """The result of ``override()``: a context manager and a decorator, which can be used often.

    Args:
        resource: the resource.
        value: the result of its ``get()``, or an ellipsis.
        factory: the function that is opened in its place by a lifespan that starts meanwhile, or
            None.
    """

    def __init__(
        self, resource: Resource[Any], value: object, factory: Callable[..., Any] | None
    ) -> None:
        if (value is ...) == (factory is None):
            raise ResourceDeclarationError(
                f"{resource.name}.override() takes either a value or a function that a lifespan "
                f"opens: override(value) or override(factory=function). [lifespan-override]"
            )
        self._resource = resource
        self._stand_in = _StandIn(resource, value, factory)

    def __enter__(self) -> None:
        _stand_ins.setdefault(self._resource, []).append(self._stand_in)
        _apply(self._resource)

    def __exit__(self, *exception: object) -> None:
        stand_ins = _stand_ins[self._resource]
        newest_first = stand_ins[::-1]  # another test may have begun meanwhile, and not ended
        del stand_ins[len(stand_ins) - 1 - newest_first.index(self._stand_in)]
        _apply(self._resource)

    def __call__(self, decorated: C) -> C:
        """Return *decorated* with the stand-in: a function, coroutine function or test class."""
        function: Any = decorated
        if isinstance(function, type):
            self._decorate_class(function)
            return decorated
        if not callable(function) or _is_generator_function(function):
            raise ResourceDeclarationError(
                f"{self._resource.name}.override() decorates functions, coroutine functions and "
                f"test classes, not {function!r}. Inside of it, write "
                f"'with {self._resource.name}.override(...):'. [lifespan-override-target]"
            )
        wrap = self._wrap_async if iscoroutinefunction(function) else self._wrap
        return cast("C", wrap(function))

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                result = function(*args, **kwargs)
            # Below another decorator, a coroutine function may not show that it is one.
            return self._around(result) if inspect.isawaitable(result) else result

        return wrapper

    def _wrap_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        return wrapper

    async def _around(self, awaitable: Awaitable[T]) -> T:
        with self:
            return await awaitable

    def _decorate_class(self, test_class: Any) -> None:
        """Put the stand-in around the class of unittest, or around the test methods of another."""
        if hasattr(test_class, "addClassCleanup"):
            set_up = test_class.setUpClass.__func__

            def set_up_class(cls: Any) -> None:
                self.__enter__()
                cls.addClassCleanup(self.__exit__)
                set_up(cls)

            test_class.setUpClass = classmethod(functools.wraps(set_up)(set_up_class))
            return
        members = {name: getattr(test_class, name) for name in dir(test_class)}
        tests = {n: each for n, each in members.items() if n.startswith("test") and callable(each)}
        if not tests:
            raise ResourceDeclarationError(
                f"{self._resource.name}.override() stands above {test_class.__qualname__}, which "
                f"has no test methods. It decorates functions, coroutine functions and test "
                f"classes. [lifespan-override-target]"
            )
        for name, test in tests.items():
            setattr(test_class, name, self(test))


class _StandIn:
    """The value, or the other resource, that stands in for a resource."""

    def __init__(
        self, resource: Resource[Any], value: object, factory: Callable[..., Any] | None
    ) -> None:
        self.values: Sequence[object] = ()
        self.replacement: Resource[Any] | None = None
        if factory is None:
            self.values = (value,)
        else:
            self.replacement = type(resource)(factory, name=resource.name)


_stand_ins: dict[Resource[Any], list[_StandIn]] = {}
"""The stand-ins of each resource, the one that was entered last at the end."""


def _apply(resource: Resource[Any]) -> None:
    if stand_ins := _stand_ins[resource]:
        resource.overrides = stand_ins[-1].values
        resource.replacement = stand_ins[-1].replacement
    else:
        del _stand_ins[resource], resource.overrides, resource.replacement


def _is_generator_function(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
