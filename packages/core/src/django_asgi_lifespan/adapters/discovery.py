"""Finds the adapters for the servers loaded in this process, and asks them."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import sys
from collections.abc import Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from django_asgi_lifespan.conf import lifespan_settings
from django_asgi_lifespan.errors import AdapterError, describe

from . import Adapter

if TYPE_CHECKING:
    from django_asgi_lifespan.protocol import Receive

__all__ = ("SERVERS", "AdaptedLifespan", "application_made", "enter_lifespan", "hold", "is_held")

SERVERS = ("uvicorn", "hypercorn", "daphne", "gunicorn", "granian")
"""The modules of the servers that have an adapter."""


class AdaptedLifespan(Protocol):
    """One lifespan of the project, as an adapter sees it.

    Attributes:
        receive: the callable that the server passed with the lifespan scope, or None where no
            server did, as in ``run_lifespan()``. Do not rely on its type: applications in front
            wrap it.
        is_adapted: whether an adapter has returned a context manager for this lifespan.
    """

    receive: Receive | None
    is_adapted: bool

    def announce_stopping(self) -> object:
        """Let the project know that the server has begun to stop. The first call counts."""
        ...

    def close_websockets(self) -> Coroutine[Any, Any, None]:
        """Close the open WebSockets with 1012, and wait a second at most for their handlers."""
        ...


def application_made(application: object) -> None:
    """Tell the adapters that *application* was made.

    Raises:
        AdapterError: an adapter cannot be used.
    """
    for adapter in _adapters():
        adapter.application_made(application)


def enter_lifespan(stack: ExitStack, lifespan: AdaptedLifespan) -> None:
    """Enter into *stack* the context managers that the adapters return for *lifespan*.

    Raises:
        AdapterError: an adapter cannot be used.
    """
    for adapter in _adapters():
        context = adapter.lifespan(lifespan)
        if context is not None:
            stack.enter_context(context)
            lifespan.is_adapted = True


_held: list[object] = []


@contextlib.contextmanager
def hold(server: object) -> Generator[None]:
    """Hold *server* for one lifespan, so that an adapter does not find it for a second one."""
    _held.append(server)
    try:
        yield
    finally:
        _held.remove(server)


def is_held(server: object) -> bool:
    """Return whether a lifespan holds *server*."""
    return any(held is server for held in _held)


def _adapters() -> Iterator[Adapter]:
    named = lifespan_settings().adapters
    if named is None:
        return
    for server in SERVERS:
        package = f"django_asgi_lifespan_{server}"
        if server in sys.modules and importlib.util.find_spec(package) is not None:
            remedy = f'Install it anew: pip install "django-asgi-lifespan[{server}]".'
            module = _import(f"{package}.hooks", remedy)
            yield _instance(getattr(module, f"{server.capitalize()}Adapter", module), remedy)
    for name in named:
        remedy = "It is named in ASGI_LIFESPAN['ADAPTERS']."
        yield _instance(_import(name, remedy), remedy)


def _import(name: str, remedy: str) -> Any:
    """Return the module *name*, or the class of that dotted name."""
    module, _, attribute = name.rpartition(".")
    try:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            found = importlib.import_module(module) if module else None
            if not hasattr(found, attribute):
                raise
            return getattr(found, attribute)
    except Exception as error:
        raise AdapterError(
            f"The adapter {name} cannot be imported: {describe(error)}. {remedy} To run without "
            f"any adapter, set ASGI_LIFESPAN['ADAPTERS'] to None."
        ) from error


def _instance(adapter: Any, remedy: str) -> Adapter:
    """Return the instance that this process has of the class or module *adapter*."""
    if isinstance(adapter, ModuleType):
        missing = [name for name in ("application_made", "lifespan") if not hasattr(adapter, name)]
        if missing:
            raise AdapterError(
                f"The adapter {adapter.__name__} has no {' and no '.join(missing)}(). {remedy}"
            )
    elif not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
        raise AdapterError(
            f"The adapter {adapter!r} is no subclass of django_asgi_lifespan.adapters.Adapter. "
            f"{remedy}"
        )
    return _made(adapter)


@functools.cache
def _made(adapter: Any) -> Adapter:
    return _Functions(adapter) if isinstance(adapter, ModuleType) else adapter()


class _Functions(Adapter):
    """A module with two functions, as version 1.0 has adapters."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def application_made(self, application: Any) -> None:
        self._module.application_made(application)

    def lifespan(self, lifespan: AdaptedLifespan) -> AbstractContextManager[object] | None:
        if lifespan.receive is None:  # its function takes that of a server
            return None
        context: AbstractContextManager[object] | None = self._module.lifespan(lifespan.receive)
        return context
