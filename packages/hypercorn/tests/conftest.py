"""Starting hypercorn with the test project of the core."""

from __future__ import annotations

import importlib.util

import pytest

from testkit import servers
from testkit.servers import Start

STOCK, TWIN = "hypercorn", "django_asgi_lifespan_hypercorn"


WAYS = {"stock command": (STOCK, "asyncio"), "twin": (TWIN, "uvloop")}
"""A module to run, hypercorn's own or this package's, and a worker class.

What one of the classes needs is done by the hooks, under both commands alike.
"""


@pytest.fixture(params=["stock command"])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The key of ``WAYS`` that the test asks for."""
    module, worker = WAYS[request.param]
    return module, worker if importlib.util.find_spec(worker) else "asyncio"


@pytest.fixture
def module(way: tuple[str, str]) -> str:
    """The module that is run."""
    return way[0]


@pytest.fixture
def hypercorn(way: tuple[str, str]) -> Start:
    """Return the starter of hypercorn, by either command, with a Django app of the project."""
    module, worker = way
    return servers.hypercorn(module, "--worker-class", worker)
