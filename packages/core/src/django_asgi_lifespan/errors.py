"""The exceptions of this package. Each message names the failure, its reason and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from django.core.exceptions import ImproperlyConfigured

__all__ = (
    "AdapterError",
    "BaseLifespanHandlerError",
    "LifespanError",
    "LifespanFailedError",
    "LifespanProtocolError",
    "LifespanUnsupportedError",
    "MissingScopeStateError",
    "ReceiverError",
    "ResourceDeclarationError",
    "ResourceUnavailableError",
    "SettingError",
    "ShutdownFailedError",
    "StartupFailedError",
)

_SHOWN = 10
"""How many failures, or names, stand in a message, which servers print as one line."""


class LifespanError(Exception):
    """The base of every exception that this package raises on purpose."""


BaseLifespanHandlerError = LifespanError
"""The name of the base in django-asgi-lifespan 0.5. Deprecated."""


class MissingScopeStateError(LifespanError):
    """A lifespan scope has no ``state``. Deprecated: only names of 0.5 raise it."""


class ResourceDeclarationError(LifespanError, ImproperlyConfigured):
    """A resource is declared in a way that cannot work.

    Attributes:
        filename: the file that failed, which Django's autoreloader watches then.
    """

    filename: str | None = None


class SettingError(ResourceDeclarationError):
    """A setting names a Django app or a resource that does not exist."""


class AdapterError(LifespanError, ImproperlyConfigured):
    """The adapter of a server cannot be used."""


class ResourceUnavailableError(LifespanError):
    """A resource or the state was asked for where no lifespan provides it. The message says why."""


class LifespanProtocolError(LifespanError):
    """One side of the lifespan protocol sent a message that the ASGI specification forbids."""


class LifespanUnsupportedError(LifespanError):
    """The application ended before it answered ``lifespan.startup``: it has no lifespan.

    The specification says to serve such an application without one. An exception that the
    application raised is the ``__cause__``.
    """


class LifespanFailedError(LifespanError):
    """One phase of the lifespan failed. ``str()`` is the message that the server gets."""


class StartupFailedError(LifespanFailedError):
    """The startup failed, and all that had been started is stopped again."""


class ShutdownFailedError(LifespanFailedError):
    """At least one resource or receiver failed to stop. All others had their turn to stop."""


class ReceiverError(LifespanError):
    """One or more receivers of a Django signal failed. The tracebacks are in the log already."""


def leaves(exception: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions of a group, however nested, or the exception itself.

    A group is recognised by its ``exceptions`` tuple, because Python 3.10 has none of its own
    and the libraries' stand-in is no dependency of ours.
    """
    members = getattr(exception, "exceptions", None)
    if isinstance(members, tuple) and members:
        for member in cast("tuple[BaseException, ...]", members):
            yield from leaves(member)
    else:
        yield exception


def describe(exception: BaseException) -> str:
    """Return type and text of every leaf of *exception*, which is never an empty string."""
    return ", ".join(map(_describe_leaf, leaves(exception)))


def _describe_leaf(leaf: BaseException) -> str:
    try:
        text = str(leaf)
    except Exception:
        text = "<exception str() failed>"  # as Python's traceback module has it
    if isinstance(leaf, LifespanError) and text:
        return text
    return ": ".join(filter(None, (type(leaf).__name__, text)))


def shorten(items: Sequence[str], *, remedy: str = "") -> Sequence[str]:
    """Return *items*, or of many the first ones, and how many there are besides."""
    more = len(items) - _SHOWN
    return [*items[:_SHOWN], f"and {more:,} more{remedy}"] if more > 0 else items


def did_you_mean(wrong: object, known: Iterable[str]) -> str:
    """Return a question that names the one of *known* that is like *wrong*, or an empty string."""
    close = difflib.get_close_matches(str(wrong), known, n=1)
    return f"Did you mean {close[0]!r}? " if close else ""
