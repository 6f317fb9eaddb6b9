"""The copies of the state outside of its lifespan: the server's dictionary, and each request's."""

from __future__ import annotations

import copy
import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from .errors import LifespanError, describe
from .last_resort import log
from .surroundings import callers, name_of

if TYPE_CHECKING:
    from .lifespans import Lifespan
    from .protocol import Scope

__all__ = ("RequestState", "StateCopyError", "check_copies", "note_deep_copier", "put_state")

logger = logging.getLogger("django_asgi_lifespan")

CHECK = "django_asgi_lifespan"
"""The key of the ``DeepCopyCheck``."""

REMEDY = (
    "Set ASGI_LIFESPAN = {'MIRROR_STATE': False}: then the state is put into each request behind "
    "the wrapper, with the open objects themselves."
)


class StateCopyError(LifespanError, TypeError):
    """The scope of a request was copied deeply, and the state in it cannot be copied."""


class DeepCopyCheck:
    """Stands first in the server's dictionary where a wrapper in front copies each scope deeply.

    The copy fails at it with an error that names the remedy, instead of at the next value.
    """

    def __init__(self, lifespan: Lifespan) -> None:
        self._wrapper = lifespan.copied_by
        self._state = lifespan.state
        self._is_told = False

    def __deepcopy__(self, memo: dict[int, Any]) -> DeepCopyCheck:
        for key, value in self._state.items():
            try:
                is_same = copy.deepcopy(value, memo) is value
            except Exception as error:
                raise StateCopyError(
                    f"{self._wrapper} copies the scope of each request deeply, and {key!r} in its "
                    f"state cannot be copied: {describe(error)}. {REMEDY} [lifespan-deep-copy]"
                ) from error
            if not (is_same or self._is_told):
                self._is_told = True
                log(
                    logger,
                    logging.WARNING,
                    "%s copies the scope of each request deeply, so requests get a copy of %r "
                    "instead of the open object. %s [lifespan-deep-copy]",
                    self._wrapper,
                    key,
                    REMEDY,
                )
        return self


class RequestState(dict[str, Any]):
    """The state of one request. Its deep copy has the same objects, as each request has."""

    def __deepcopy__(self, memo: dict[int, Any]) -> RequestState:
        return RequestState(self)


def note_deep_copier(lifespan: Lifespan) -> None:
    """Remember the wrapper on the stack that copies scopes deeply, if there is one."""
    for frame in callers():
        if "deepcopy" in frame.f_code.co_names:
            lifespan.copied_by = name_of(frame)


def check_copies(lifespan: Lifespan, mirror: MutableMapping[str, Any]) -> None:
    """Let *mirror*, the server's dictionary, complain where a wrapper copies it deeply."""
    note_deep_copier(lifespan)
    if lifespan.copied_by:
        content = {CHECK: DeepCopyCheck(lifespan), **mirror}
        mirror.clear()
        mirror.update(content)


def put_state(scope: Scope, lifespan: Lifespan) -> None:
    """Put the state of *lifespan* into the scope of a request.

    Where the server's dictionary mirrors the state, a value that somebody in front has put there
    for this request stays.
    """
    ours, given = lifespan.state, scope.get("state", {})
    merged = {**ours, **given} if lifespan.is_mirrored else {**given, **ours}
    scope["state"] = RequestState(merged)
