"""The database of these tests: a file, which tells closed connections from open ones."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def _open_bodies() -> Iterator[None]:
    """Let bodies be open, as Django leaves them where a server cancels a request."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Use a file as the database, and return a function that changes settings of it."""
    settings: dict[str, Any] = connections.settings["default"]

    def configure(**changed: object) -> None:
        for name, value in changed.items():
            monkeypatch.setitem(settings, name, value)

    configure(NAME=str(tmp_path / "database"), CONN_MAX_AGE=None)
    return configure
