"""Loads an adapter by its name."""

from __future__ import annotations

import functools
import importlib
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from django_asgi_lifespan.errors import AdapterError, describe

from . import Adapter

if TYPE_CHECKING:
    from .server import AdaptedLifespan

__all__ = ("load_adapter",)


def load_adapter(name: str, remedy: str, attribute: str = "") -> Adapter:
    """Return the adapter that this process has of the module or class *name*.

    Args:
        remedy: ends the message of an error.
        attribute: the class in the module; a module of version 1.0 has none.

    Raises:
        AdapterError: it cannot be used.
    """
    found = _import(name, remedy)
    return _instance(getattr(found, attribute, found), remedy)


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
            f"any adapter, set ASGI_LIFESPAN['ADAPTERS'] to None. [lifespan-adapter-import]"
        ) from error


def _instance(adapter: Any, remedy: str) -> Adapter:
    """Return the instance that this process has of the class or module *adapter*."""
    if isinstance(adapter, ModuleType):
        missing = [name for name in ("application_made", "lifespan") if not hasattr(adapter, name)]
        if missing:
            raise AdapterError(
                f"The adapter {adapter.__name__} has no {' and no '.join(missing)}(). {remedy} "
                f"[lifespan-adapter]"
            )
    elif not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
        raise AdapterError(
            f"The adapter {adapter!r} is no subclass of django_asgi_lifespan.adapters.Adapter. "
            f"{remedy} [lifespan-adapter]"
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
