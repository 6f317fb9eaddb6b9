"""Runs Django's runtests.py with another ASGI handler: django_stand_in.py KIND ARGUMENTS.

The kinds are ``stock``, ``handler`` (ours) and ``threads`` (ours with request threads, which are
used even where asgiref would run the code in the thread of the test).
"""

import asyncio
import importlib
import runpy
import sys
from typing import Any, ClassVar

from asgiref.sync import AsyncToSync

from django_asgi_lifespan.handler import LifespanASGIHandler
from django_asgi_lifespan.lifespans import Lifespan
from django_asgi_lifespan.request_threads import RequestThreads


class _ThreadedHandler(LifespanASGIHandler):
    """Our handler with four request threads for the event loop of each test."""

    threads: ClassVar[dict[asyncio.AbstractEventLoop, RequestThreads]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        outer: Any = getattr(AsyncToSync.executors, "current", None)
        AsyncToSync.executors.current = None  # type: ignore[attr-defined, unused-ignore]
        try:
            await self.threads_here().run(super().__call__, scope, receive, send)
        finally:
            AsyncToSync.executors.current = outer  # type: ignore[attr-defined, unused-ignore]

    @classmethod
    def threads_here(cls) -> RequestThreads:
        """Return the threads of this event loop, and let those of another one go."""
        loop = asyncio.get_running_loop()
        if loop not in cls.threads:
            cls.threads.clear()
            cls.threads[loop] = RequestThreads(Lifespan(), 4)
        return cls.threads[loop]


def main() -> None:
    kind = sys.argv.pop(1)
    if kind != "stock":
        handler = LifespanASGIHandler if kind == "handler" else _ThreadedHandler
        # Of this module, the handler goes on to be derived from Django's.
        importlib.import_module("django.contrib.staticfiles.handlers")
        for name in ("django.core.handlers.asgi", "django.core.asgi"):
            stand_in: Any = importlib.import_module(name)
            stand_in.ASGIHandler = handler
    sys.argv[0] = "runtests.py"
    runpy.run_path("runtests.py", run_name="__main__")


if __name__ == "__main__":
    main()
