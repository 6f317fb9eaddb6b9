"""Finds the adapters for the servers loaded in this process, and asks them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from django_asgi_lifespan.conf import lifespan_settings

if TYPE_CHECKING:
    from . import Adapter
    from .server import AdaptedLifespan

__all__ = ("SERVERS", "application_made", "enter_lifespan")

SERVERS = ("uvicorn", "hypercorn", "daphne", "gunicorn", "granian")
"""The modules of the servers that have an adapter."""


def application_made(application: object) -> None:
    """Tell the adapters that *application* was made.

    Raises:
        AdapterError: an adapter cannot be used.
    """
    for adapter in _adapters():
        adapter.application_made(application)


def enter_lifespan(stack: ExitStack, lifespan: AdaptedLifespan) -> None:
    """Enter into *stack* the context managers that the adapters return for *lifespan*.

    Raises:
        AdapterError: an adapter cannot be used.
    """
    for adapter in _adapters():
        context = adapter.lifespan(lifespan)
        if context is not None:
            stack.enter_context(context)
            lifespan.is_adapted = True


def _adapters() -> Iterator[Adapter]:
    named = lifespan_settings().adapters
    if named is None:
        return
    for server in SERVERS:
        package = f"django_asgi_lifespan_{server}"
        if server in sys.modules and importlib.util.find_spec(package) is not None:
            remedy = f'Install it anew: pip install "django-asgi-lifespan[{server}]>=1".'
            yield _load(f"{package}.hooks", remedy, f"{server.capitalize()}Adapter")
    for name in named:
        yield _load(name, "It is named in ASGI_LIFESPAN['ADAPTERS'].")


def _load(name: str, remedy: str, attribute: str = "") -> Adapter:
    from .loader import load_adapter  # a process without adapters does without

    return load_adapter(name, remedy, attribute)
