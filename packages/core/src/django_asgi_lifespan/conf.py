"""The project's settings: one optional dictionary, ``ASGI_LIFESPAN``."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

__all__ = ("LifespanSettings", "lifespan_settings")


class LifespanSettings:
    """The validated content of ``settings.ASGI_LIFESPAN``, defaults filled in.

    Attributes:
        startup_timeout: seconds for the whole startup, or None for no limit.
        startup_warning: seconds after which the log names what a startup waits for, or None.
        shutdown_timeout: seconds for the whole shutdown, or None for no limit.
        autodiscover: whether the ``lifespan`` module of every installed Django app is imported.
        mirror_state: whether the server's dictionary gets the content of our state.
        adapters: dotted names of further server adapters, or None to use no adapter at all, not
            even an installed one.
    """

    # To build a dataclass or a named tuple takes longer than to import the rest of this module.
    __slots__ = (
        "adapters",
        "autodiscover",
        "mirror_state",
        "shutdown_timeout",
        "startup_timeout",
        "startup_warning",
    )

    def __init__(
        self,
        *,
        startup_timeout: float | None = None,
        startup_warning: float | None = 5.0,
        shutdown_timeout: float | None = 20.0,
        autodiscover: bool = True,
        mirror_state: bool = True,
        adapters: tuple[str, ...] | None = (),
    ) -> None:
        self.startup_timeout = startup_timeout
        self.startup_warning = startup_warning
        self.shutdown_timeout = shutdown_timeout
        self.autodiscover = autodiscover
        self.mirror_state = mirror_state
        self.adapters = adapters


def timeout(value: object) -> float | None:
    """Return *value* as seconds, or None for no limit.

    Raises:
        ValueError: for any other value.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError("a positive number of seconds, or None for no limit")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _names(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = cast("tuple[object, ...]", value if isinstance(value, (list, tuple)) else (None,))
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a list of dotted module names, or None for no adapter at all")
    return cast("tuple[str, ...]", tuple(names))


_READERS: dict[str, Callable[[object], Any]] = {
    "STARTUP_TIMEOUT": timeout,
    "STARTUP_WARNING": timeout,
    "SHUTDOWN_TIMEOUT": timeout,
    "AUTODISCOVER": _flag,
    "MIRROR_STATE": _flag,
    "ADAPTERS": _names,
}


def lifespan_settings() -> LifespanSettings:
    """Return the settings as they are now.

    Raises:
        ImproperlyConfigured: for an unknown key or a value of the wrong type.
    """
    given = cast("dict[str, object]", getattr(settings, "ASGI_LIFESPAN", {}))
    if not isinstance(cast("object", given), dict):
        raise ImproperlyConfigured(
            f"ASGI_LIFESPAN is {given!r}; it must be a dictionary with the keys "
            f"{', '.join(_READERS)}, all optional."
        )
    values: dict[str, Any] = {}
    for key, value in given.items():
        reader = _READERS.get(key)
        if reader is None:
            close = difflib.get_close_matches(str(key), _READERS, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise ImproperlyConfigured(
                f"ASGI_LIFESPAN has no key {key!r}. {hint}The keys are {', '.join(_READERS)}."
            )
        try:
            values[key.lower()] = reader(value)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"ASGI_LIFESPAN[{key!r}] is {value!r}; it must be {error}."
            ) from None
    return LifespanSettings(**values)
