"""Starlette in front, whose own lifespan starts the resources of the project."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from asgi import application as django
from starlette.applications import Starlette
from starlette.routing import Mount

from django_asgi_lifespan import run_lifespan


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    async with run_lifespan() as state:
        yield dict(state)


application = Starlette(routes=[Mount("/", django)], lifespan=_lifespan)
