"""The lifespans of other ASGI applications, which run inside the project's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

from .driver import LifespanDriver
from .errors import LifespanFailedError, LifespanUnsupportedError, StartupFailedError, describe
from .filling import fill_state, join_state
from .last_resort import log
from .lifespans import Lifespan
from .protocol import Application, Message, Receive, Scope, Send

__all__ = ("ApplicationLifespan", "naming_the_cause")

logger = logging.getLogger("django_asgi_lifespan")


@contextmanager
def naming_the_cause() -> Generator[None]:
    """Let a phase of an application's lifespan fail with its exception rather than its message.

    The message may be a whole traceback, as that of Starlette is.
    """
    try:
        yield
    except LifespanFailedError as error:
        if error.__cause__ is None:
            raise
        raise type(error)(describe(error.__cause__)) from error.__cause__


class ApplicationLifespan:
    """The lifespan of the application that ``LifespanApplication`` was put around.

    It starts when every resource has, and stops before them. It sees the state of the project, and
    its own state joins it.

    Args:
        level: the logging level of the line that tells whether the application has a lifespan.
    """

    name = "the application's lifespan"
    startup_timeout = None
    shutdown_timeout = None
    keep_connections = False

    def __init__(self, lifespan: Lifespan, application: Application, *, level: int) -> None:
        self._lifespan = lifespan
        self._application = application
        self._level = level
        self._is_asked = False  # the application has received the message of the startup
        self._is_refused = False

    async def open(self) -> AsyncGenerator[None]:
        """Run it around the yield, or nothing where the application refuses the scope."""
        fill_state(self._lifespan)
        driver = LifespanDriver(self._call)
        driver.state.update(self._lifespan.state)
        if not await self._starts(driver):
            yield
            return
        try:
            join_state(self._lifespan, self.name, driver.state)
            yield
        finally:
            with naming_the_cause():
                await driver.shutdown()

    async def _starts(self, driver: LifespanDriver) -> bool:
        """Start the application, and return whether it has a lifespan."""
        try:
            with naming_the_cause():
                await driver.startup()
        except LifespanUnsupportedError as error:
            cause = error.__cause__
            if cause is not None and self._is_asked and not self._is_refused:
                raise StartupFailedError(describe(cause)) from cause
            why = f": {describe(cause)}" if cause is not None else ""
            log(logger, self._level, "The application has no lifespan of its own%s", why)
            return False
        log(logger, self._level, "The application's own lifespan has started")
        return True

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the scope on, and note how the application takes it.

        One that refuses the scope raises at once, returns, or answers as if it were a request. One
        that raises when it has received the message has failed.
        """

        async def noted_receive() -> Message:
            self._is_asked = True
            return await receive()

        async def noted_send(message: Message) -> None:
            if not message["type"].startswith("lifespan."):
                self._is_refused = True
                # No handler of exceptions takes this for an error of the application.
                raise asyncio.CancelledError("the lifespan scope is answered like a request")
            await send(message)

        await self._application(scope, noted_receive, noted_send)
