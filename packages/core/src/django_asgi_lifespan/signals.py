"""The Django signals of a lifespan, and how they are sent."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from django.dispatch import Signal, dispatcher

from .errors import ReceiverError, describe
from .last_resort import log
from .threads import run_in_thread

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

logger = logging.getLogger("django_asgi_lifespan")

Receiver = Callable[..., Any]

# How Django makes the keys under which it keeps receivers and senders; not in django-stubs.
_make_id = cast("Callable[[object], object]", vars(dispatcher)["_make_id"])


class LifespanSender:
    """The ``sender`` of the lifespan's signals."""


class LifespanSignal(Signal):
    """A Django signal whose receivers may be sync or async, and may take no arguments at all.

    Connect before the lifespan starts, in ``AppConfig.ready()`` for example. Each receiver is
    called once a lifespan; what it returns is ignored.
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
            dispatch_uid = dispatch_uid or _make_id(receiver)
            receiver = _ignoring_arguments(receiver, weak=weak)
            weak = False
        super().connect(receiver, sender, weak, dispatch_uid)


asgi_startup = LifespanSignal()
"""Sent when every resource has started, before the first request; with ``scope`` and ``state``.

The first receiver that fails ends the startup, and the server does not serve.
"""

asgi_stopping = LifespanSignal()
"""Sent as soon as the server is known to stop, while requests are still being served.

At the latest it is sent at the beginning of the shutdown. Every receiver is called, with
``scope`` and ``state``. To wait for the moment in async code, use ``stopping()``.
"""

asgi_shutdown = LifespanSignal()
"""Sent after the last request, before the first resource stops; with ``scope`` and ``state``.

Every receiver is called, also after a failure of another.
"""

contributing: list[CompatAsyncSignal] = []
"""The signals that add resources, before any starts: ``asgi_lifespan``, once it is imported."""


def count_receivers(signal: Signal) -> int:
    """Return how many receivers of *signal* a lifespan would call."""
    return len(list(live_receivers(signal)))


async def send_startup(
    signal: Signal, calling: Callable[[str], object], /, **arguments: Any
) -> list[Any]:
    """Return what the receivers return, called in the order of their connection.

    The first failure stops the rest.

    Args:
        calling: is told the name of each receiver before it is called.

    Raises:
        ReceiverError: names the first receiver that failed, whose traceback is in the log.
    """
    results: list[Any] = []
    for receiver in live_receivers(signal):
        calling(_name(receiver))
        try:
            results.append(await call(receiver, signal, arguments))
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException as exception:
            raise ReceiverError(_report(receiver, exception)) from exception
    return results


async def send_shutdown(
    signal: Signal, calling: Callable[[str], object], /, **arguments: Any
) -> None:
    """Call every receiver in the order of its connection, also after a failure.

    Args:
        calling: is told the name of each receiver before it is called.

    Raises:
        ReceiverError: names all the receivers that failed, whose tracebacks are in the log.
    """
    failures: list[str] = []
    for receiver in live_receivers(signal):
        calling(_name(receiver))
        try:
            await call(receiver, signal, arguments)
        except GeneratorExit:
            raise
        except BaseException as exception:
            failures.append(_report(receiver, exception))
    if failures:
        raise ReceiverError("; ".join(failures))


async def call(receiver: Receiver, signal: Signal, arguments: dict[str, Any]) -> Any:
    """Return what *receiver* returns; a synchronous one runs in a thread."""
    bound = functools.partial(receiver, signal=signal, sender=LifespanSender, **arguments)
    if inspect.iscoroutinefunction(receiver):
        return await bound()
    result = await run_in_thread(bound, name=_name(receiver))
    # The __call__ of an object may be a coroutine function.
    return await result if inspect.isawaitable(result) else result


def _report(receiver: Receiver, exception: BaseException) -> str:
    """Log the failure of *receiver*, and return what happened in one line."""
    message = f"the receiver {_name(receiver)} failed: {describe(exception)}"
    log(logger, logging.ERROR, "%s%s", message[0].upper(), message[1:], exc_info=exception)
    return message


def _name(receiver: Receiver) -> str:
    return f"{receiver.__module__}.{getattr(receiver, '__qualname__', type(receiver).__name__)}"


def live_receivers(signal: Signal, sender: object = LifespanSender) -> Iterator[Receiver]:
    """Yield the live receivers for *sender* in the order of their connection.

    Django's own methods return the sync ones apart from the async ones. An entry of
    ``Signal.receivers`` is ``((receiver key, sender key), receiver or reference, ...)``, with
    nothing more in Django 4.2, one more item in 5.0 and two in 6.0.
    """
    entries: list[Any] = list(signal.receivers)
    for (_, sender_key), receiver, *_ in entries:
        if sender_key in (_make_id(None), _make_id(sender)):
            is_weak = type(receiver) in (weakref.ref, weakref.WeakMethod)
            live: Receiver | None = receiver() if is_weak else receiver
            if live is not None:
                yield live


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
