"""The server side of the lifespan protocol, version 2.0: runs the lifespan of any application."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any

from .errors import (
    LifespanFailedError,
    LifespanProtocolError,
    LifespanUnsupportedError,
    ShutdownFailedError,
    StartupFailedError,
    describe,
)
from .last_resort import log
from .protocol import Application, Message, Scope

__all__ = ("Application", "LifespanDriver")

logger = logging.getLogger("django_asgi_lifespan")


class LifespanDriver:
    """Starts and stops the lifespan of an ASGI application, as a server does. Use it once.

    ``async with LifespanDriver(application) as state:`` starts up, and shuts down at its end.
    ``startup()`` and ``shutdown()`` do the two steps apart. The application runs in a task of its
    own. There is no time limit: if the caller is cancelled, the driver cancels the application
    and waits for its end.

    Attributes:
        state: the ``scope["state"]`` of the lifespan, of which every request gets a shallow copy.

    Source: "Lifespan Protocol" of the ASGI specification, version 2.0.
    """

    def __init__(self, application: Application) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._phase = "startup"
        self._over = False
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answer: asyncio.Future[Message]
        self._idle: asyncio.Future[None]
        self._task: asyncio.Task[None]

    async def startup(self) -> None:
        """Return when the application has started up.

        Raises:
            StartupFailedError: with the message of the application, which has ended.
            LifespanUnsupportedError: the application ended without an answer.
            LifespanProtocolError: the application sent a message that the specification forbids.
        """
        loop = asyncio.get_running_loop()
        self._idle = loop.create_future()
        scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        self._task = loop.create_task(self._run(scope), name="lifespan application")
        answer = await self._ask("startup")
        if answer is None:
            raise LifespanUnsupportedError(
                f"The application ended before it answered 'lifespan.startup'"
                f"{self._reason(': it has no lifespan. Pass requests to it as it is.')} "
                f"[lifespan-no-answer]"
            ) from self._error()
        if answer["type"] == "lifespan.startup.failed":
            await self._finish()
            raise StartupFailedError(answer.get("message", "")) from self._error()

    async def shutdown(self) -> None:
        """Return when the application has shut down and ended.

        Raises:
            ShutdownFailedError: with the message of the application, or with its exception.
            LifespanProtocolError: the application sent a message that the specification forbids.
        """
        answer = await self._ask("shutdown")
        await self._finish()
        error = self._error()
        if answer is None:
            raise ShutdownFailedError(
                f"The application ended before it answered 'lifespan.shutdown'"
                f"{self._reason('. It has to wait for the message of that name.')} "
                f"[lifespan-no-answer]"
            ) from error
        if answer["type"] == "lifespan.shutdown.failed":
            raise ShutdownFailedError(answer.get("message", "")) from error
        if error is not None:
            message = "The application failed after its shutdown. [lifespan-late-failure]"
            log(logger, logging.ERROR, message, exc_info=error)

    async def __aenter__(self) -> dict[str, Any]:
        await self.startup()
        return self.state

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exception, GeneratorExit):  # the loop is gone: nothing can run any more
            return
        try:
            await self.shutdown()
        except LifespanFailedError as failure:
            if exception is None:
                raise
            log(logger, logging.ERROR, "The lifespan's shutdown failed: %s", failure)

    async def _run(self, scope: Scope) -> None:
        await self._application(scope, self._receive, self._send)

    async def _ask(self, phase: str) -> Message | None:
        """Send the message of *phase*, and return the answer, or None if the application ended."""
        self._phase = phase
        self._answer = asyncio.get_running_loop().create_future()
        self._messages.put_nowait({"type": f"lifespan.{phase}"})
        await self._wait_for(self._answer)
        return self._answer.result() if self._answer.done() else None

    async def _finish(self) -> None:
        """Wait for the application to end. Cancel it if it waits for one more message."""
        await self._wait_for(self._idle)
        if not self._task.done():
            await self._cancel()

    async def _wait_for(self, future: asyncio.Future[Any]) -> None:
        """Wait for *future* or for the end of the application. Pass a cancellation on to it."""
        try:
            await asyncio.wait({future, self._task}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._cancel()
            raise

    async def _cancel(self) -> None:
        """Cancel the application and wait for its end, passing on further cancellations."""
        self._task.cancel()
        while not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                self._task.cancel()

    def _error(self) -> BaseException | None:
        """Return the exception of the application, which has ended. Raise a protocol error."""
        error = None if self._task.cancelled() else self._task.exception()
        if isinstance(error, LifespanProtocolError):
            raise error
        return error

    def _reason(self, otherwise: str) -> str:
        error = self._error()
        return f": {describe(error)}" if error else otherwise

    async def _receive(self) -> Message:
        if self._over and not self._idle.done():
            self._idle.set_result(None)
        return await self._messages.get()

    async def _send(self, message: Message) -> None:
        allowed = (f"lifespan.{self._phase}.complete", f"lifespan.{self._phase}.failed")
        if message["type"] not in allowed or self._answer.done():
            raise LifespanProtocolError(
                f"The application sent {message['type']!r} where the lifespan protocol does not "
                f"have it: each phase is answered once, 'complete' or 'failed'. [lifespan-protocol]"
            )
        self._over = message["type"] != "lifespan.startup.complete"
        self._answer.set_result(message)
