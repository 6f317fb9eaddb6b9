"""The server side of the lifespan protocol with a stopwatch, the same for all that is compared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11

__all__ = ("Server",)

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Server:
    """Runs one lifespan of *application*, as an async context manager.

    Args:
        application: takes ``(scope, receive, send)``.
        clock: returns seconds; by default the processor time of this process.

    Attributes:
        startup, shutdown: the seconds between the message of each phase and its answer.
        state: what the server put into the lifespan scope.
    """

    def __init__(
        self, application: Application, clock: Callable[[], float] = time.process_time
    ) -> None:
        self.startup = self.shutdown = 0.0
        self.state: dict[str, Any] = {}
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._application = application
        self._clock = clock
        self._answer: asyncio.Future[Any]

    async def __aenter__(self) -> Self:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        application = self._application(scope, self._messages.get, self._send)
        self._task = asyncio.ensure_future(application)
        await asyncio.sleep(0)  # the application waits for the first message
        self.startup = await self._time("startup")
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown = await self._time("shutdown")
        await self._task

    async def _time(self, phase: str) -> float:
        self._answer = asyncio.get_running_loop().create_future()
        began = self._clock()
        self._messages.put_nowait({"type": f"lifespan.{phase}"})
        answer = await self._answer
        seconds = self._clock() - began
        if answer["type"] != f"lifespan.{phase}.complete":
            raise RuntimeError(f"The {phase} failed: {answer}")
        return seconds

    async def _send(self, message: dict[str, Any]) -> None:
        self._answer.set_result(message)
