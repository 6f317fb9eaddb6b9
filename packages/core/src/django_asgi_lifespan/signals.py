"""The Django signals of a lifespan, and their receivers' connection."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.dispatch import Signal, dispatcher

if TYPE_CHECKING:
    from .compat import CompatAsyncSignal, asgi_lifespan
else:

    def __getattr__(name: str) -> object:
        if name == "asgi_lifespan":  # of 0.5
            from .compat import asgi_lifespan

            return asgi_lifespan
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = (
    "LifespanSender",
    "LifespanSignal",
    "asgi_lifespan",
    "asgi_shutdown",
    "asgi_startup",
    "asgi_stopping",
)

Receiver = Callable[..., Any]

# How Django makes the keys under which it keeps receivers and senders. It is not in django-stubs.
make_id = cast("Callable[[object], object]", vars(dispatcher)["_make_id"])


class LifespanSender:
    """The ``sender`` of the lifespan's signals."""


class LifespanSignal(Signal):
    """A Django signal whose receivers may be sync or async, and may take no arguments at all.

    Connect before the lifespan starts, in ``AppConfig.ready()`` for example. Each receiver is
    called once a lifespan; its result is ignored.
    """

    def connect(
        self,
        receiver: Receiver,
        sender: object | None = None,
        weak: bool = False,  # noqa: FBT001, FBT002 - the signature of Django's
        dispatch_uid: object | None = None,
    ) -> None:
        """Connect *receiver*, held strongly unless *weak* is true.

        (Django's own signals hold receivers weakly, and a bound method or a local function
        would be gone before the startup.)
        """
        if _takes_no_arguments(receiver):
            # The key by which Django will look for the receiver to disconnect it.
            dispatch_uid = dispatch_uid or make_id(receiver)
            receiver = _ignoring_arguments(receiver, weak=weak)
            weak = False
        super().connect(receiver, sender, weak, dispatch_uid)


asgi_startup = LifespanSignal()
"""Sent when every resource has started, before the first request, with ``scope`` and ``state``.

The first receiver that fails ends the startup, and the server does not serve.
"""

asgi_stopping = LifespanSignal()
"""Sent as soon as the server is known to stop, while requests are still being served.

At the latest it is sent at the beginning of the shutdown. Every receiver is called, with
``scope`` and ``state``. To wait for the moment in async code, use ``stopping()``.
"""

asgi_shutdown = LifespanSignal()
"""Sent after the last request, before the first resource stops, with ``scope`` and ``state``.

Every receiver is called, also after a failure of another.
"""

contributing: list[CompatAsyncSignal] = []
"""The signals that add resources, before any starts: ``asgi_lifespan``, once it is imported."""


def _takes_no_arguments(receiver: Receiver) -> bool:
    try:
        return not inspect.signature(receiver).parameters
    except (TypeError, ValueError):  # not callable, which Django reports, or written in C
        return False


def _ignoring_arguments(receiver: Receiver, *, weak: bool) -> Receiver:
    """Return a receiver that calls *receiver*, which takes no arguments, while it lives."""
    reference: Any = weakref.WeakMethod if inspect.ismethod(receiver) else weakref.ref
    target: Any = reference(receiver) if weak else lambda: receiver

    async def call_async(**_: Any) -> Any:
        live = target()
        return None if live is None else await live()

    def call_sync(**_: Any) -> Any:
        live = target()
        return None if live is None else live()

    wrapper = call_async if inspect.iscoroutinefunction(receiver) else call_sync
    functools.update_wrapper(wrapper, receiver)
    # Django would look for **kwargs behind it, and it would keep a weak receiver alive.
    del wrapper.__dict__["__wrapped__"]
    return wrapper
