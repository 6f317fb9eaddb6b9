"""The names that Django's tests import from here, where they imported them from Django.

The environment variable ``SUITE_KIND`` says which handler they get: ``stock`` is Django's, and
``handler`` and ``threads`` are ours, with a lifespan in each event loop, as a server has one.
"""

import asyncio
import contextvars
import os
import threading
from typing import Any

from asgiref.sync import AsyncToSync
from django.core.handlers.asgi import ASGIHandler as DjangosHandler
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import request_started

from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler

__all__ = ("ASGIHandler", "ASGIRequest", "current", "get_asgi_application")


class CurrentTest:
    """The test that runs.

    Attributes:
        has_database: it may use the database, and so its requests have to share its transaction.
        requests: how many requests reached the handler.
        lent: how many of these had a request thread.
    """

    has_database = False
    requests = 0
    lent = 0


current = CurrentTest()


class _Counted:
    """Counts the requests, and gives their synchronous code threads as a server does.

    In an asynchronous test asgiref runs synchronous code in the thread of the test.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        handler: Any = super()
        if scope["type"] != "http":
            await handler.__call__(scope, receive, send)
            return
        current.requests += 1
        outer: Any = getattr(AsyncToSync.executors, "current", None)
        if not current.has_database:
            AsyncToSync.executors.current = None  # type: ignore[attr-defined, unused-ignore]
        try:
            await handler.__call__(scope, receive, send)
        finally:
            AsyncToSync.executors.current = outer  # type: ignore[attr-defined, unused-ignore]


class _Stock(_Counted, DjangosHandler):
    pass


class _Ours(_Counted, LifespanASGIHandler):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["state"] = dict(await _state_here(self))
        await super().__call__(scope, receive, send)


_starts: dict[asyncio.AbstractEventLoop, asyncio.Task[dict[str, Any]]] = {}


async def _state_here(handler: Any) -> dict[str, Any]:
    """Return the state of the lifespan of this event loop, which the first request begins.

    It ends with the event loop, which cancels all tasks.
    """
    loop = asyncio.get_running_loop()
    if loop not in _starts:
        for closed in [each for each in _starts if each.is_closed()]:
            del _starts[closed]
        empty = contextvars.Context()  # not that of the request: a server has none
        _starts[loop] = empty.run(loop.create_task, _start(LifespanDriver(handler)))
    return await asyncio.shield(_starts[loop])


async def _start(driver: LifespanDriver) -> dict[str, Any]:
    await driver.startup()
    return driver.state


def _note_thread(**_: Any) -> None:
    current.lent += threading.current_thread().name.startswith("request")


request_started.connect(_note_thread, dispatch_uid="tools.django_suite")

ASGIHandler: Any = _Stock if os.environ["SUITE_KIND"] == "stock" else _Ours


def get_asgi_application() -> Any:
    """Return the handler. Django is set up."""
    return ASGIHandler()
