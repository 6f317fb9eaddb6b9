"""The changes of threads that a test causes."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import AsyncToSync, SyncToAsync


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls from async to sync code and back that were made, each a change of threads."""
    made: list[str] = []
    for kind in (SyncToAsync, AsyncToSync):

        def call(self: Any, *args: Any, _call: Any = kind.__call__, **kwargs: Any) -> Any:
            made.append(str(self))
            return _call(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__call__", call)
    return made
