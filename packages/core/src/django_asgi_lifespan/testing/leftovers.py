"""The things that a test leaves behind: tasks, threads, connections, lifespans."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from django_asgi_lifespan.lifespans import lifespans

__all__ = ("Leftovers",)

GRACE = 1.0
"""Seconds for which something that is left may still end by itself."""


class Leftovers:
    """A context manager around a lifespan under test, which fails where something is left.

    The database connections of the test itself do not count: its runner closes them.
    """

    def __init__(self) -> None:
        self._threads = {*threading.enumerate()}
        self._sockets = {*_sockets()}
        self._lifespans = [*lifespans.unfinished]
        self._connections: list[tuple[Any, str]] = []
        self._tasks: list[str] = []

    def __enter__(self) -> None:
        connection_created.connect(self._note_connection)

    def __exit__(self, exception_type: object, exception: object, traceback: object) -> None:
        __tracebackhide__ = True
        connection_created.disconnect(self._note_connection)
        deadline = time.monotonic() + GRACE
        while self._found() and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        found = self._found()
        if found and exception_type is None:
            raise AssertionError(
                f"The test left behind: {', '.join(found)}. End or close each in the resource, or "
                f"the test, that began it. (Strict, as --lifespan-strict says.) "
                f"[lifespan-left-behind]"
            )

    async def note_tasks(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        """Take note of those of *tasks* that do not end by themselves."""
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=GRACE)
            for task in left:
                code: object = task.get_coro()
                self._tasks.append(
                    f"the task {task.get_name()!r} of {getattr(code, '__qualname__', code)}()"
                )

    def _note_connection(self, connection: Any, **arguments: object) -> None:
        self._connections.append((connection, threading.current_thread().name))

    def _found(self) -> list[str]:
        own = connections.all(initialized_only=True)
        return [
            *self._tasks,
            *(
                f"the thread {each.name!r}"
                for each in threading.enumerate()
                if each not in self._threads and not each.name.startswith("asyncio_")
            ),
            *(
                f"a connection to the database {each.alias!r}, which the thread {name!r} opened"
                for each, name in self._connections
                if each.connection is not None and each not in own
            ),
            *(text for _, text in sorted(_sockets() - self._sockets)),
            *(
                f"a lifespan, whose open resources are {', '.join(lifespan.state) or 'none'}"
                for lifespan in lifespans.unfinished
                if lifespan not in self._lifespans
            ),
        ]


def _sockets() -> set[tuple[int, str]]:
    """Return the open sockets, without those of the database connections of this thread."""
    folder = Path("/dev/fd")
    if not folder.exists():  # on Windows
        return set()
    found: set[tuple[int, str]] = set()
    own = {*_own_sockets()}
    for number in {int(each.name) for each in folder.iterdir()} - own:
        with suppress(OSError):  # that of the folder is closed
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as copy:
                    text = _describe(copy)
                if text:
                    found.add((number, text))
    return found


def _own_sockets() -> Iterator[int]:
    for each in connections.all(initialized_only=True):
        fileno = getattr(each.connection, "fileno", None)
        if fileno is not None:
            yield fileno()


def _describe(which: socket.socket) -> str:
    """Return a few words. A pair without addresses, as each event loop has, has none."""
    try:
        address, text = which.getpeername(), "a connection to {}"
    except OSError:
        address, text = which.getsockname(), "a socket at {}"
    if isinstance(address, tuple):
        address = f"{address[0]}:{address[1]}"
    return text.format(address) if address else ""
