"""FastAPI in front, whose own lifespan runs inside the one of the project."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from asgi import application as django
from fastapi import FastAPI

from django_asgi_lifespan.asgi import LifespanApplication
from testkit import journal


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    journal.write("front", "open")
    yield
    journal.write("front", "closed")


_api = FastAPI(lifespan=_lifespan)
_api.mount("/", django)
application = LifespanApplication(_api)
