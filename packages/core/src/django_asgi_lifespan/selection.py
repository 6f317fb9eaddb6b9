"""The part of the resources that a lifespan starts: those of ``only=[...]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .declaration import Resource
from .errors import ResourceDeclarationError, did_you_mean, shorten

__all__ = ("select",)


def select(
    resources: Mapping[Resource[Any], Sequence[Resource[Any]]],
    only: Iterable[object],
    known: Mapping[str, Resource[Any]],
) -> dict[Resource[Any], Sequence[Resource[Any]]]:
    """Return those of *resources* that *only* names and those that these require.

    Args:
        known: every declared resource by its name. One that a value stands in for is not among
            *resources*, and needs no start.

    Raises:
        ResourceDeclarationError: *only* is no list of resources and names of declared resources.
    """
    given: object = only
    if isinstance(given, (Resource, str)):
        name = given.name if isinstance(given, Resource) else repr(given)
        reason = f"only={name} must be a list: only=[{name}]. [lifespan-list]"
        raise ResourceDeclarationError(reason)
    found = [_find(known, wanted) for wanted in only]
    queue = [each for each in found if each in resources]
    selected = {*queue}
    while queue:
        for required in resources[queue.pop()]:
            if required not in selected:
                selected.add(required)
                queue.append(required)
    return {each: required for each, required in resources.items() if each in selected}


def _find(known: Mapping[str, Resource[Any]], wanted: object) -> Resource[Any]:
    name = wanted.name if isinstance(wanted, Resource) else wanted
    found = known.get(name) if isinstance(name, str) else None
    if found is not None and wanted in (found, name):
        return found
    raise ResourceDeclarationError(
        f"only=[...] has {name!r}, and no such resource is declared. "
        f"{did_you_mean(name, known)}Declared are: {', '.join(shorten(sorted(known)))}. "
        f"[lifespan-unknown-resource]"
    )
