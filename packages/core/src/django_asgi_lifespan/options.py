"""The options of a resource, for those that have some: each wrong one has its error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from .conf import timeout
from .errors import ResourceDeclarationError

__all__ = ("read_requires", "validate")


def read_requires(resource: Any, requires: object, kind: type[Any]) -> tuple[Any, ...]:
    """Return the requirements that *resource* is declared with.

    Args:
        kind: the class of resources.

    Raises:
        ResourceDeclarationError: they are one resource or name, or no collection of these.
    """
    if isinstance(requires, (kind, str)):
        name = repr(requires) if isinstance(requires, str) else cast("Any", requires).name
        given = "a string" if isinstance(requires, str) else "a resource"
        raise ResourceDeclarationError(
            f"requires of {resource.name} is {given} and must be a list: requires=[{name}]. "
            f"[lifespan-list]"
        )
    if not isinstance(requires, Iterable):
        raise ResourceDeclarationError(
            f"requires of {resource.name} is {requires!r} and must be a list of resources, or of "
            f"names of resources. [lifespan-list]"
        )
    return tuple(cast("Any", requires))


def validate(resource: Any, kind: type[Any]) -> None:
    """Refuse options that cannot be meant.

    Args:
        kind: the class of resources.

    Raises:
        ResourceDeclarationError: names the option.
    """
    if not isinstance(resource.name, str) or not resource.name.isidentifier():
        raise ResourceDeclarationError(
            f"{resource.origin} needs a name that is a Python identifier, not {resource.name!r}: "
            f"resource(..., name='...'). [lifespan-name]"
        )
    for requirement in resource.requires:
        if not isinstance(requirement, (kind, str)):
            raise ResourceDeclarationError(
                f"{resource.name} requires {requirement!r}, which is neither a resource nor the "
                f"name of one: requires=[resource, 'name']. [lifespan-requirement]"
            )
    for option in ("startup_timeout", "shutdown_timeout"):
        value = getattr(resource, option)
        try:
            timeout(value)
        except ValueError as error:
            raise ResourceDeclarationError(
                f"{option} of {resource.name} is {value!r}; it must be {error}. [lifespan-limit]"
            ) from None
    if resource.check is not None and not callable(resource.check):
        raise ResourceDeclarationError(
            f"check of {resource.name} is {resource.check!r} and must be a function that takes the "
            f"open object: check=lambda {resource.name}: {resource.name}.ping(). [lifespan-check]"
        )
