"""Other ASGI applications under Django, with lifespans of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from .applications import naming_the_cause
from .driver import LifespanDriver
from .errors import LifespanError, LifespanUnsupportedError
from .resources import resource

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing since Python 3.11

    from .protocol import Application, Receive, Scope, Send
    from .resources import Resource, ResourceOptions

__all__ = ("mounted_application",)


def mounted_application(
    application: Application | None = None,
    *,
    factory: Callable[[], Application] | None = None,
    **options: Unpack[ResourceOptions],
) -> Resource[Application]:
    """Declare a resource that runs the lifespan of another ASGI application.

    For a Starlette, FastAPI or MCP application that is served beside Django: its lifespan starts
    and stops with the project's. ``.get()`` returns the application to pass requests to. It puts
    the state of its own lifespan into their scopes, instead of the project's.

    Args:
        application: takes ``(scope, receive, send)``, the lifespan scope included.
        factory: a function that makes the application at each startup, for applications that
            can only be started once (MCP's, for example). Give it instead of *application*.
        options: those of ``resource()``, of which ``name`` is required.

    Raises:
        TypeError: not exactly one of *application* and *factory* is given, or no name.
    """
    if (application is None) == (factory is None) or "name" not in options:
        raise TypeError(
            "mounted_application() takes an application or a factory, and a name: "
            "mounted_application(application, name='...'). [lifespan-mounted]"
        )

    @asynccontextmanager
    async def run() -> AsyncGenerator[Application]:
        child: Any = application if factory is None else factory()
        driver = LifespanDriver(child)
        try:
            with naming_the_cause():
                await driver.startup()
        except LifespanUnsupportedError as error:
            if error.__cause__ is None:
                raise LifespanError(
                    "the application has no lifespan: pass requests to it as it is "
                    "[lifespan-mounted-without]"
                ) from None
            raise

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await child({**scope, "state": driver.state.copy()}, receive, send)

        try:
            yield with_state
        finally:
            with naming_the_cause():
                await driver.shutdown()

    return resource(run, **options)
