"""Puts the values of the resources, and the states of applications, into that of the lifespan."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from .last_resort import log

if TYPE_CHECKING:
    from .lifespans import Lifespan
    from .roles import Yielding

__all__ = ("fill_state", "join_state")

logger = logging.getLogger("django_asgi_lifespan")


def fill_state(lifespan: Lifespan) -> None:
    """Put the values of the resources into the state. Of two that want one key the first wins.

    The value of a resource goes there under its name, a mapping to be merged key by key.
    """
    if lifespan.state_filled:
        return
    owners: dict[str, Yielding] = {}

    def put(resource: Yielding, key: str, value: object) -> None:
        owner = owners.setdefault(key, resource)
        if owner is resource:
            lifespan.state[key] = value
        else:
            log(
                logger,
                logging.WARNING,
                "Both %s and %s put %r into the state; the first one, declared first, wins. "
                "Rename one of them. [lifespan-state-key]",
                owner.name,
                resource.name,
                key,
            )

    for resource in lifespan.resources:
        if resource not in lifespan.values:  # it died already, which fails the startup
            continue
        value: object = lifespan.values[resource]
        if resource.merged and isinstance(value, Mapping):
            for key, each in cast("Mapping[str, object]", value).items():
                put(resource, key, each)
        else:
            put(resource, resource.name, value)
    lifespan.state_filled = True


def join_state(lifespan: Lifespan, owner: str, state: Mapping[str, Any]) -> None:
    """Take over the keys of *state*, that of *owner*, which are not in ours."""
    for key, value in state.items():
        if lifespan.state.setdefault(key, value) is not value:
            log(
                logger,
                logging.WARNING,
                "%s puts another %r into the state than the project, whose value stays there. "
                "Rename one of them. [lifespan-state-key]",
                owner[0].upper() + owner[1:],
                key,
            )
