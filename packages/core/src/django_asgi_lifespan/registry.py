"""The resources that are declared in this process, and the names that they answer to."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FrameType
from typing import Any

from .declaration import Resource
from .errors import ResourceDeclarationError, SettingError, did_you_mean, shorten

__all__ = ("Registry", "discover", "registry")


class _Place:
    """Where a resource is declared.

    Attributes:
        module: the name of the module that calls ``resource()``.
        executed: the name of the module that is being executed meanwhile, which is the same one
            or imports it.
        execution: an object of its own for each execution of that module.
    """

    __slots__ = ("executed", "execution", "module")

    def __init__(self) -> None:
        frame = inspect.currentframe()
        while frame is not None and _module(frame).startswith("django_asgi_lifespan."):
            frame = frame.f_back
        self.module = _module(frame)
        while frame is not None and frame.f_code.co_name != "<module>":
            frame = frame.f_back
        self.executed = _module(frame)
        self.execution: object = frame and frame.f_code  # is loaded or compiled anew each time


def _module(frame: FrameType | None) -> str:
    return str(frame.f_globals.get("__name__", "")) if frame is not None else ""


class Registry:
    """The resources declared in this process, in the order of their declaration."""

    def __init__(self) -> None:
        self._declared: dict[Resource[Any], _Place | None] = {}

    def add(self, declared: Resource[Any]) -> None:
        """Add a resource."""
        self._declared[declared] = place = _Place()
        declared.module = place.module

    def add_unnamed(self, declared: Resource[Any]) -> Callable[[], None]:
        """Add a resource that no other can require, and return a function that removes it."""
        self._declared[declared] = None

        def remove() -> None:
            self._declared.pop(declared, None)

        return remove

    def names(self) -> list[str]:
        """Return the names of the declared resources, in the order of their declaration."""
        return [declared.name for declared in self._current()]

    def named(self) -> dict[str, Resource[Any]]:
        """Return the declared resources by their names, without those that have none."""
        return {each.name: each for each in self._current() if self._declared[each] is not None}

    def resolve(self) -> dict[Resource[Any], tuple[Resource[Any], ...]]:
        """Return every declared resource with the resources that it requires.

        Raises:
            ResourceDeclarationError: for two resources of one name, or an unknown requirement.
            SettingError: for a setting that names no resource.
        """
        current = self._current()
        by_name = self._rename(current)
        for declared in current:
            if self._declared[declared] is None:  # its name is none that others can require
                continue
            other = by_name.setdefault(declared.name, declared)
            if other is not declared:
                raise ResourceDeclarationError(self._explain_clash(other, declared))
        return {
            declared: self._required(by_name, declared) if declared.requires else ()
            for declared in current
            if not declared.overrides
        }

    def overridden(self) -> dict[str, Any]:
        """Return the values that stand in for resources now, by name."""
        if not any(each.overrides for each in self._declared):  # as in every process that serves
            return {}
        return {each.name: each.overrides[-1] for each in self._current() if each.overrides}

    def _current(self) -> list[Resource[Any]]:
        """Return the declared resources, without those that a newer execution declares again.

        A module that failed in the middle is executed again when it is imported again.
        """
        latest = {
            (place.executed, declared.declared_name): place.execution
            for declared, place in self._declared.items()
            if place is not None
        }
        if len(latest) == len(self._declared):  # none was declared again
            return [*self._declared]
        return [
            declared
            for declared, place in self._declared.items()
            if place is None or latest[place.executed, declared.declared_name] is place.execution
        ]

    def _rename(self, current: list[Resource[Any]]) -> dict[str, Resource[Any]]:
        """Give resources the names that the settings have for them.

        Returns:
            These resources by their addresses, by which those of their module find them.
        """
        from .conf import lifespan_settings

        names = lifespan_settings().names
        renamed: dict[str, Resource[Any]] = {}
        for declared in current:
            if self._declared[declared] is not None:
                declared.name = declared.declared_name
                if names and (address := self._address(declared)) in names:
                    renamed[address] = declared
                    declared.name = names[address]
        for unknown in names.keys() - renamed.keys():
            raise SettingError(
                f"ASGI_LIFESPAN['NAMES'] renames {unknown!r}, and no such resource is declared. "
                f"{did_you_mean(unknown, map(self._address, current))}Write module and name, such "
                f"as 'vendor.lifespan.client'. [lifespan-unknown-resource]"
            )
        return renamed

    def _required(
        self, by_name: dict[str, Resource[Any]], declared: Resource[Any]
    ) -> tuple[Resource[Any], ...]:
        found = [self._find(by_name, declared, wanted) for wanted in declared.requires]
        return tuple(required for required in found if not required.overrides)

    def _find(
        self,
        by_name: dict[str, Resource[Any]],
        declared: Resource[Any],
        wanted: Resource[Any] | str,
    ) -> Resource[Any]:
        if isinstance(wanted, str):
            name = wanted
            found = by_name.get(f"{declared.module}.{name}") or by_name.get(name)
        else:
            name = wanted.name
            found = by_name.get(name)
        if found is not None and wanted in (found, name):
            return found
        known = sorted({each.name for each in by_name.values()})
        raise ResourceDeclarationError(
            f"{declared.name} ({declared.origin}) requires {name!r}, and no such resource is "
            f"declared. {did_you_mean(name, known)}Declared are: {', '.join(shorten(known))}. "
            f"[lifespan-unknown-resource]"
        )

    def _address(self, declared: Resource[Any]) -> str:
        return f"{declared.module}.{declared.declared_name}"

    def _explain_clash(self, one: Resource[Any], other: Resource[Any]) -> str:
        places = self._address(one), self._address(other)
        setting = ""
        if places[0] == places[1]:
            places = one.origin, other.origin
        else:
            name = f"{places[1].partition('.')[0]}_{other.declared_name}"
            setting = (
                f" Where both are those of other people, choose a name in the settings: "
                f"ASGI_LIFESPAN = {{'NAMES': {{{places[1]!r}: {name!r}}}}}."
            )
        return (
            f"Two resources are named {other.name!r}: {places[0]} and {places[1]}. Rename one, "
            f"or give it @resource(name='...').{setting} [lifespan-same-name]"
        )


registry = Registry()


def discover() -> None:
    """Import the ``lifespan`` module of the installed Django apps, as the settings have it.

    Raises:
        ImproperlyConfigured: ``ASGI_LIFESPAN`` is wrong.
        ResourceDeclarationError: such a module cannot be imported.
    """
    from .conf import lifespan_settings  # which nobody asks for before Django is set up

    labels = lifespan_settings().autodiscover
    if labels is not False:
        from .autodiscovery import import_modules  # an import of this module does without

        import_modules(None if labels is True else labels)
