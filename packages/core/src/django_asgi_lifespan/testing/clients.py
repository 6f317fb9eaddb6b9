"""The test clients whose requests have a state."""

from __future__ import annotations

from typing import Any

from django.test import AsyncClient, Client
from django.test.client import AsyncClientHandler, ClientHandler

from django_asgi_lifespan.errors import ResourceUnavailableError
from django_asgi_lifespan.state import get_state
from django_asgi_lifespan.types import State

__all__ = ("LifespanAwareAsyncClient", "LifespanAwareClient")


class _AsyncHandler(AsyncClientHandler):
    async def get_response_async(self, request: Any) -> Any:
        request.state = request.scope["state"]
        handler: Any = super()
        return await handler.get_response_async(request)


class _Handler(ClientHandler):
    def get_response(self, request: Any) -> Any:
        request.state = request.environ["django_asgi_lifespan.state"]
        handler: Any = super()
        return handler.get_response(request)


class _WithState:
    """A test client with a state.

    Args:
        state: each request gets a shallow copy of it. By default it is the state of the running
            lifespan, or an empty one. To run a lifespan, use ``run_lifespan()``.

    Attributes:
        state: the given state, or its default.
    """

    def __init__(self, *, state: State | None = None, **defaults: Any) -> None:
        super().__init__(**defaults)
        self._state = state

    @property
    def state(self) -> State:
        """The state that requests get a copy of."""
        if self._state is not None:
            return self._state
        try:
            return get_state()
        except ResourceUnavailableError:
            return {}

    @state.setter
    def state(self, state: State) -> None:
        self._state = state


class LifespanAwareClient(_WithState, Client):
    """Django's test client, whose requests have a ``state``.

    It can be the ``client_class`` of a test case. The lifespan is that of ``run_lifespan_sync()``.
    Asynchronous views run in another event loop.
    """

    def __init__(self, *, state: State | None = None, **defaults: Any) -> None:
        super().__init__(state=state, **defaults)
        self.handler = _Handler(self.handler.enforce_csrf_checks)

    def _base_environ(self, **request: Any) -> dict[str, Any]:
        base: Any = super()
        environ = base._base_environ(**request)
        return {**environ, "django_asgi_lifespan.state": dict(self.state)}


class LifespanAwareAsyncClient(_WithState, AsyncClient):
    """Django's async test client, whose requests have a ``state``, in their scope too.

    It can be the ``async_client_class`` of a test case.
    """

    def __init__(self, *, state: State | None = None, **defaults: Any) -> None:
        super().__init__(state=state, **defaults)
        self.handler = _AsyncHandler(self.handler.enforce_csrf_checks)

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        # Django 5.2 makes a header of an unknown keyword argument, so the state is added here.
        base: Any = super()
        return {**base._base_scope(**request), "state": dict(self.state)}
