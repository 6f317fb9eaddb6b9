"""Clients for tests."""

from __future__ import annotations

from typing import Any

from django.test import AsyncClient

from .errors import ResourceUnavailableError
from .state import get_state
from .types import State

__all__ = ("LifespanAwareAsyncClient",)


class LifespanAwareAsyncClient(AsyncClient):
    """Django's async test client, whose requests have a ``state`` in their scope.

    It can be the ``async_client_class`` of a test case.

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

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        # Django 5.2 makes a header of an unknown keyword argument, so the state is added here.
        base: Any = super()
        return {**base._base_scope(**request), "state": dict(self.state)}
