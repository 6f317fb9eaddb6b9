"""The resources that are declared in this process, and the discovery of their modules."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from django.utils.module_loading import autodiscover_modules

from .conf import lifespan_settings
from .declaration import Resource
from .errors import ResourceDeclarationError, shorten

__all__ = ("Registry", "discover", "registry")


class Registry:
    """The resources declared in this process, in the order of their declaration."""

    def __init__(self) -> None:
        self._declared: dict[object, Resource[Any]] = {}

    def add(self, declared: Resource[Any]) -> None:
        """Add a resource in place of one that the same line of the same module declared.

        A module that failed in the middle is executed again when it is imported again.
        """
        factory: Any = declared.factory
        while hasattr(factory, "__wrapped__"):
            factory = factory.__wrapped__
        code = getattr(factory, "__code__", None)
        line = (code.co_filename, code.co_firstlineno) if code else id(declared)
        self._declared[declared.factory.__module__, line, declared.name] = declared

    def add_unnamed(self, declared: Resource[Any]) -> Callable[[], None]:
        """Add a resource that no other can require, and return a function that removes it."""
        self._declared[declared] = declared

        def remove() -> None:
            self._declared.pop(declared, None)

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
        for key, declared in self._declared.items():
            if key is declared:  # its name is none that others can require
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
    names = ", ".join(shorten(sorted(by_name)))
    raise ResourceDeclarationError(
        f"{declared.name} ({declared.origin}) requires {name!r}, and no such resource is "
        f"declared. {hint}Declared are: {names}."
    )


registry = Registry()


def discover() -> None:
    """Import the ``lifespan`` module of every installed Django app, unless the settings forbid it.

    Raises:
        ImproperlyConfigured: ``ASGI_LIFESPAN`` is wrong.
        Exception: the error that such a module raised.
    """
    if lifespan_settings().autodiscover:
        autodiscover_modules("lifespan")
