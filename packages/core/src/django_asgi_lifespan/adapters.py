"""The adapters of this process: what they know of its server, they do for its lifespan.

A server whose module is loaded here may be the one that runs this process, so its adapter is
asked, if it is installed: the module ``hooks`` of ``django_asgi_lifespan_<server>``.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Protocol, cast

from .conf import lifespan_settings
from .errors import AdapterError, describe

if TYPE_CHECKING:
    from .protocol import Receive

__all__ = ("SERVERS", "application_made", "enter_lifespan")

SERVERS = ("uvicorn", "hypercorn", "daphne", "gunicorn", "granian")
"""The modules of the servers that have an adapter, or are going to have one."""


if TYPE_CHECKING:

    class Adapter(Protocol):
        """What the core calls: the functions of a module ``hooks``, or one in ``ADAPTERS``.

        That the server's module is loaded does not say that the server runs this process: other
        servers load it, and so do tests. What an adapter raises fails the start.
        """

        def application_made(self, application: object) -> None:
            """An application with a lifespan was made; do only what is harmless in any process.

            No event loop need exist, and this may be the parent of the processes that will serve
            (``gunicorn --preload``). It is called again for an application around another.
            """
            ...

        def lifespan(self, receive: Receive) -> AbstractContextManager[object] | None:
            """Return what to enter before the startup and to leave when the lifespan has ended.

            Args:
                receive: as the server gave it with the lifespan scope. The object that it is bound
                    to, ``receive.__self__``, names the server for certain; where it is not this
                    adapter's, return None.
            """
            ...


def application_made(application: object) -> None:
    """Tell the adapters that *application* was made.

    Raises:
        AdapterError: an adapter cannot be imported.
    """
    for adapter in _adapters():
        adapter.application_made(application)


def enter_lifespan(stack: ExitStack, receive: Receive) -> None:
    """Enter into *stack* what the adapters have for the lifespan that came with *receive*.

    Raises:
        AdapterError: an adapter cannot be imported.
    """
    for adapter in _adapters():
        context = adapter.lifespan(receive)
        if context is not None:
            stack.enter_context(context)


def _adapters() -> Iterator[Adapter]:
    named = lifespan_settings().adapters
    if named is None:
        return
    for server in SERVERS:
        package = f"django_asgi_lifespan_{server}"
        if server in sys.modules and importlib.util.find_spec(package) is not None:
            remedy = f'Install it anew: pip install "django-asgi-lifespan[{server}]".'
            yield _load(f"{package}.hooks", remedy)
    for name in named:
        yield _load(name, "It is named in ASGI_LIFESPAN['ADAPTERS'].")


def _load(name: str, remedy: str) -> Adapter:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise AdapterError(
            f"The adapter {name} cannot be imported: {describe(error)}. {remedy} To run without "
            f"any adapter, set ASGI_LIFESPAN['ADAPTERS'] to None."
        ) from error
    missing = [hook for hook in ("application_made", "lifespan") if not hasattr(module, hook)]
    if missing:
        raise AdapterError(f"The adapter {name} has no {' and no '.join(missing)}(). {remedy}")
    return cast("Adapter", module)
