"""The code blocks of the guide run, one after the other, in a project that has what they assume."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROJECT = """
import ast
import asyncio
import inspect
import re
import sys
import unittest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django_asgi_lifespan"],
    ROOT_URLCONF=(),
)
django.setup()

from django.test import TestCase
from hypercorn.middleware import ProxyFixMiddleware

from django_asgi_lifespan import (
    LifespanASGIRequest,
    get_state,
    resource,
    run_lifespan,
    run_lifespan_sync,
)
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application
from django_asgi_lifespan.conf import lifespan_settings
from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.testing import *

opened = []
routes = []


class FakeClient:
    async def get(self, url):
        return url


class Catalogue:
    @classmethod
    async def load(cls, client):
        opened.append(f"catalogue by {type(client).__name__}")
        return cls()


@resource
async def http_client():
    opened.append("http_client")
    yield FakeClient()


@asynccontextmanager
async def broker_lifespan(app):
    opened.append(f"broker of {type(app).__name__} with {type(http_client.get()).__name__}")
    yield {}


async def drive(application):
    async with LifespanDriver(application):
        print(*opened, sep=", ")
    opened.clear()


blocks = re.findall(r"```python\\n(.*?)```", Path(sys.argv[1]).read_text(), re.DOTALL)
for block in blocks:
    names = globals()
    for name in ("application", "PriceTests", "ASGI_LIFESPAN", "running", "state"):
        names.pop(name, None)
    code = compile(block, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    if "running" in names or "state" in names:
        print(*opened, sep=", ")
        opened.clear()
    if "ASGI_LIFESPAN" in names:
        settings.ASGI_LIFESPAN = ASGI_LIFESPAN
        print("setting", *[key for key in ASGI_LIFESPAN if lifespan_settings()])
        settings.ASGI_LIFESPAN = {}
    if "application" in names:
        asyncio.run(drive(application))
    if "PriceTests" in names:
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(PriceTests)
        result = unittest.TextTestRunner().run(suite)
        print("tests passed:", result.testsRun if result.wasSuccessful() else "none")
        opened.clear()
"""

STARTED = "http_client, catalogue by FakeClient"

GUIDE = [
    STARTED,
    f"{STARTED}, broker of FastAPI with FakeClient",
    "setting MIRROR_STATE",
    "setting NAMES",
    STARTED,
    STARTED,
    "tests passed: 0",
    "tests passed: 1",
]
"""The output of each block but the first: channels, FastAPI, settings, lifespans, tests."""


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("docs/guide.md", GUIDE),
        ("packages/hypercorn/README.md", ["setting MIRROR_STATE", "http_client"]),
    ],
)
def test_the_blocks_of_a_page_run(page: str, expected: list[str]) -> None:
    """And open the resources in their order."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROJECT, str(ROOT / page)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected
