"""A project that handles OS signals by itself, and then calls the handler that it found."""

from __future__ import annotations

import functools
import signal
from typing import Any

import asgi

from django_asgi_lifespan import asgi_startup
from testkit import journal

application = asgi.application


async def _install(**keywords: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        signal.signal(number, functools.partial(_note, before))


_note_call = functools.cache(journal.write)  # once, because a worker may be sent two OS signals


def _note(before: Any, number: int, frame: Any) -> None:
    _note_call("own handler", "called")
    if callable(before):
        before(number, frame)


asgi_startup.connect(_install, weak=False)
