import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from django_asgi_lifespan import run_lifespan
from django_asgi_lifespan.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cinema.settings")
django_application = get_asgi_application()

from cinema.lifespan import films  # noqa: E402 - Django has to be set up before


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
    async with run_lifespan():
        yield {"tickets": len(films.get()) * 100}


application = FastAPI(lifespan=lifespan)


@application.get("/tickets")
async def tickets(request: Request) -> dict[str, Any]:
    return {"tickets": request.state.tickets, "films": films.get()}


application.mount("/", django_application)
