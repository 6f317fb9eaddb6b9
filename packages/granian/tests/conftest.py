"""Starting granian with the test project of the core."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testkit import servers
from testkit.processes import Process
from testkit.servers import Start

LOOPS = ("asyncio", "uvloop")


@pytest.fixture(params=["uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    """The event loop, as granian's option has it; uvloop is its choice where it is installed."""
    return str(request.param) if importlib.util.find_spec(request.param) else "asyncio"


@pytest.fixture
def granian(tmp_path: Path, loop: str) -> Start:
    """Return what starts granian's command with a Django app of the project."""

    def launch(
        django_app: str, *options: str, program: str = "granian", **keywords: str
    ) -> AbstractContextManager[Process]:
        starter = servers.granian(program, "--loop", loop)
        return starter(django_app, *options, **keywords)

    return launch
