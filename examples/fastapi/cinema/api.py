from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from .lifespan import films


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
    yield {"tickets": len(films.get()) * 100}  # resources are open already


def make_api() -> FastAPI:
    api = FastAPI(lifespan=lifespan)

    @api.get("/tickets")
    async def tickets(request: Request) -> dict[str, Any]:
        return {"tickets": request.state.tickets, "films": films.get()}

    return api
