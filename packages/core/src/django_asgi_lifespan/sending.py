"""How the Django signals of a lifespan are sent: to which receivers, in which order."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from django.dispatch import Signal

from .errors import ReceiverError, describe
from .last_resort import log
from .own_thread import own_thread
from .signals import LifespanSender, Receiver, make_id
from .threads import run_in_thread

__all__ = ("call", "count_receivers", "live_receivers", "send_shutdown", "send_startup")

logger = logging.getLogger("django_asgi_lifespan")


def count_receivers(signal: Signal) -> int:
    """Return how many receivers of *signal* a lifespan would call."""
    return len(list(live_receivers(signal)))


async def send_startup(
    signal: Signal, calling: Callable[[str], object], /, **arguments: Any
) -> list[Any]:
    """Return the results of the receivers, called in the order of their connection.

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
    """Return the result of *receiver*. A synchronous one runs in a thread."""
    bound = functools.partial(receiver, signal=signal, sender=LifespanSender, **arguments)
    async with own_thread():
        if inspect.iscoroutinefunction(receiver):
            return await bound()
        result = await run_in_thread(bound, name=_name(receiver))
        # The __call__ of an object may be a coroutine function.
        return await result if inspect.isawaitable(result) else result


def _report(receiver: Receiver, exception: BaseException) -> str:
    """Log the failure of *receiver*, and return it as one line."""
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
        if sender_key in (make_id(None), make_id(sender)):
            is_weak = type(receiver) in (weakref.ref, weakref.WeakMethod)
            live: Receiver | None = receiver() if is_weak else receiver
            if live is not None:
                yield live
