"""The messages about the threads that are lent to requests."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import asgiref

from django_asgi_lifespan import request_threads, run_lifespan
from django_asgi_lifespan.lifespans import Lifespan, lifespans
from django_asgi_lifespan.request_thread import RequestThread
from django_asgi_lifespan.request_threads import RequestThreads
from messages.table import COURSE, says, start


@says(
    "log",
    "… ASGI_LIFESPAN['REQUEST_THREADS'] is '16'; it must be a positive number of threads, or None "
    "for a new thread for each request.",
    "it must be a positive number of threads",
)
async def _a_wrong_number_of_threads(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"REQUEST_THREADS": "16"}
    await start()


@says(
    "log",
    "… ASGI_LIFESPAN['REQUEST_THREADS'] does not work with asgiref "
    f"{asgiref.__version__}, which has no SyncToAsync.context_to_thread_executor. Install another "
    "release of asgiref, or remove the setting.",
    "Install another release of asgiref",
)
async def _an_asgiref_that_does_not_fit(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"REQUEST_THREADS": 16}
    with mock.patch.object(request_threads, "SyncToAsync", object):
        await start()


async def give_back(connection: object) -> None:
    """Let a request give back a thread with *connection*."""
    threads = RequestThreads(Lifespan(), 1)
    thread = threads.take()
    thread._connections.append(connection)
    await threads._take_back(thread, "GET /orders/", failed=False)
    await asyncio.wrap_future(thread.ended)


@says(
    "log",
    "GET /orders/ has left a transaction open in the database 'default'. Its connection is closed.",
    "GET /orders/",
)
async def _a_transaction_left_open() -> None:
    await give_back(mock.Mock(in_atomic_block=True, alias="default"))


@says(
    "log",
    "GET /orders/ has left autocommit changed in the database 'default'. Its connection is closed.",
    "GET /orders/",
)
async def _a_changed_autocommit() -> None:
    settings = {"AUTOCOMMIT": True}
    changed: Any = mock.Mock(in_atomic_block=False, alias="default", autocommit=False)
    changed.settings_dict = settings
    await give_back(changed)


@says(
    "server",
    "the shutdown did not complete within 0.1 s (SHUTDOWN_TIMEOUT), waiting for: the request "
    "threads",
    "SHUTDOWN_TIMEOUT",
)
async def _a_request_that_does_not_end(settings: Any) -> None:
    settings.ASGI_LIFESPAN = {"REQUEST_THREADS": 1, "SHUTDOWN_TIMEOUT": 0.1}
    taken: list[RequestThread] = []
    try:
        async with run_lifespan():
            [lifespan] = lifespans.running[asyncio.get_running_loop()]
            threads: Any = lifespan.request_threads
            taken.append(threads.take())
    finally:
        await threads._take_back(taken[0], "GET /", failed=False)


@says("log", "Request threads: 1 at most, and up to 2 were kept (REQUEST_THREADS)", COURSE)
async def _request_threads_that_end() -> None:
    threads = RequestThreads(Lifespan(), 2)
    opened = threads.open()
    await anext(opened)
    await threads._take_back(threads.take(), "GET /", failed=False)
    assert await anext(opened, None) is None
