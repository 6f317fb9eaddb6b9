"""The project's settings: one optional dictionary, ``ASGI_LIFESPAN``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .errors import did_you_mean

__all__ = ("LifespanSettings", "lifespan_settings", "probes_prefix")


class LifespanSettings:
    """The validated content of ``settings.ASGI_LIFESPAN``, defaults filled in.

    Attributes:
        startup_timeout: seconds for the whole startup, or None for no limit.
        startup_warning: seconds after which the log names what a startup waits for, or None.
        shutdown_timeout: seconds for the whole shutdown, or None for no limit.
        mirror_state: whether the server's dictionary gets the content of our state.
        autodiscover: whether the ``lifespan`` module of every installed Django app is imported, or
            the labels of the Django apps whose modules are.
        names: other names for resources, by the address of their declaration.
        probes: the path before the names of the probes, or None for no probes.
        probes_verbose: whether probes tell the reasons of failures, which may hold secrets.
        adapters: dotted names of further server adapters, or None to use no adapter at all, not
            even an installed one.
        drain_delay: seconds between SIGTERM and the begin of the stop, in which the worker is not
            ready, and serves.
        request_threads: how many threads are kept for the synchronous code of requests, or None
            for a new thread for each request, as Django has it.
    """

    # To build a dataclass or a named tuple takes longer than to import the rest of this module.
    __slots__ = (
        "adapters",
        "autodiscover",
        "drain_delay",
        "mirror_state",
        "names",
        "probes",
        "probes_verbose",
        "request_threads",
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
        mirror_state: bool = True,
        autodiscover: bool | tuple[str, ...] = True,
        names: dict[str, str] | None = None,
        adapters: tuple[str, ...] | None = (),
        probes: str | None = None,
        probes_verbose: bool = False,
        drain_delay: float = 0.0,
        request_threads: int | None = None,
    ) -> None:
        self.startup_timeout = startup_timeout
        self.startup_warning = startup_warning
        self.shutdown_timeout = shutdown_timeout
        self.autodiscover = autodiscover
        self.mirror_state = mirror_state
        self.names = names or {}
        self.adapters = adapters
        self.probes = probes
        self.probes_verbose = probes_verbose
        self.drain_delay = drain_delay
        self.request_threads = request_threads


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


def _delay(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6:
        raise ValueError("a number of seconds, or 0 for no delay")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _autodiscover(value: object) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    labels = _strings(value)
    if labels is None:
        raise ValueError("True, False or a list of the labels of Django apps")
    return labels


def _other_names(value: object) -> dict[str, str]:
    if isinstance(value, dict):
        names = cast("dict[object, object]", value)
        if all(isinstance(key, str) for key in names) and all(
            isinstance(name, str) and name.isidentifier() for name in names.values()
        ):
            return cast("dict[str, str]", names)
    raise ValueError("a dictionary such as {'vendor.lifespan.client': 'vendor_client'}")


def _strings(value: object) -> tuple[str, ...] | None:
    """Return *value* if it is a list or a tuple of strings."""
    strings = cast("tuple[object, ...]", value if isinstance(value, (list, tuple)) else (None,))
    if not all(isinstance(each, str) for each in strings):
        return None
    return cast("tuple[str, ...]", tuple(strings))


def _names(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = _strings(value)
    if names is None:
        raise ValueError("a list of dotted module names, or None for no adapter at all")
    return names


def _prefix(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not (value.startswith("/") and value.endswith("/")):
        raise ValueError("a path that begins and ends with a slash, such as '/', or None")
    return value


def _count(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a positive number of threads, or None for a new thread for each request")
    return value


_READERS: dict[str, Callable[[object], Any]] = {
    "STARTUP_TIMEOUT": timeout,
    "STARTUP_WARNING": timeout,
    "SHUTDOWN_TIMEOUT": timeout,
    "MIRROR_STATE": _flag,
    "AUTODISCOVER": _autodiscover,
    "NAMES": _other_names,
    "ADAPTERS": _names,
    "PROBES": _prefix,
    "PROBES_VERBOSE": _flag,
    "DRAIN_DELAY": _delay,
    "REQUEST_THREADS": _count,
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
            f"{', '.join(_READERS)}, all optional. [lifespan-setting]"
        )
    values: dict[str, Any] = {}
    for key, value in given.items():
        reader = _READERS.get(key)
        if reader is None:
            raise ImproperlyConfigured(
                f"ASGI_LIFESPAN has no key {key!r}. {did_you_mean(key, _READERS)}The keys are "
                f"{', '.join(_READERS)}. [lifespan-unknown-setting]"
            )
        try:
            values[key.lower()] = reader(value)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"ASGI_LIFESPAN[{key!r}] is {value!r}; it must be {error}. [lifespan-setting]"
            ) from None
    return LifespanSettings(**values)


def probes_prefix() -> str | None:
    """Return the path before the names of the probes. With wrong settings there are no probes."""
    try:
        return lifespan_settings().probes
    except ImproperlyConfigured:  # which fails the startup, and is in the log
        return None
