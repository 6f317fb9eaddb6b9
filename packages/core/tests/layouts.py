"""Applications of one Django project in the layouts that people use.

A test starts a server with ``layouts:fastapi_application``, or with ``layouts:fastapi()``. The
journal of the process tells the story.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

import conftest  # noqa: F401 - sets Django up
from django_asgi_lifespan import asgi_startup, resource, run_lifespan
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application
from test_applications import health_check, http_only
from testkit import journal

logging.basicConfig()


class Pool:
    """What cannot be copied."""

    def __deepcopy__(self, memo: object) -> Pool:
        raise TypeError("cannot pickle 'Pool' object")


@resource
async def pool() -> AsyncIterator[Pool]:
    """The resource of the project."""
    journal.write("pool", "open")
    yield Pool()
    journal.write("pool", "close")


@asgi_startup.connect
def started() -> None:
    """Note the Django signal."""
    journal.write("signal", "sent")


async def show(request: HttpRequest) -> JsonResponse:
    """Say whether a view of Django has the state of the project."""
    mine, state = pool.get(), request.scope["state"]  # type: ignore[attr-defined]
    return JsonResponse({"shared": state["pool"] is mine, "keys": sorted(state)})


async def show_in_front(request: Request) -> JSONResponse:
    """Say whether the application in front has the state of the project."""
    return JSONResponse({"shared": request.state.pool is pool.get(), "front": request.state.front})


async def fail(request: HttpRequest) -> JsonResponse:
    """Fail, for a tracker of errors."""
    raise LookupError("nothing was found")


settings.ROOT_URLCONF = (path("django/", show), path("fail/", fail))


@asynccontextmanager
async def front_lifespan(_: Any) -> AsyncGenerator[dict[str, str]]:
    """The lifespan of the application in front, which uses the resource."""
    journal.write("front", f"open with {type(pool.get()).__name__}")
    yield {"front": "yes"}
    journal.write("front", "close")


def starlette() -> Any:
    """Starlette outermost, with Django mounted."""
    routes = [Route("/front", show_in_front), Mount("/", get_asgi_application())]
    return LifespanApplication(Starlette(routes=routes, lifespan=front_lifespan))


def fastapi() -> Any:
    """FastAPI outermost, with Django mounted."""
    from fastapi import FastAPI

    api = FastAPI(lifespan=front_lifespan)
    api.add_route("/front", show_in_front)
    api.mount("/", get_asgi_application())
    return LifespanApplication(api)


def channels() -> Any:
    """The router of Channels, which refuses the lifespan scope."""
    from channels.routing import ProtocolTypeRouter

    return LifespanApplication(ProtocolTypeRouter({"http": get_asgi_application()}))


def wrapped() -> Any:
    """Two wrappers that know nothing of the lifespan."""
    return LifespanApplication(http_only(health_check(get_asgi_application())))


def proxy_fix() -> Any:
    """A wrapper that copies each scope deeply, without the setting."""
    from hypercorn.middleware import ProxyFixMiddleware

    return ProxyFixMiddleware(get_asgi_application())  # type: ignore[arg-type]


def proxy_fix_unmirrored() -> Any:
    """The same, with the setting."""
    settings.ASGI_LIFESPAN = {"MIRROR_STATE": False}
    return proxy_fix()


def driven() -> Any:
    """Starlette outermost, whose own lifespan runs the project's."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[None]:
        async with run_lifespan():
            yield

    return Starlette(routes=[Mount("/", get_asgi_application())], lifespan=lifespan)


def alone() -> Any:
    """Our handler, for servers that do not start the lifespan."""
    return get_asgi_application()


def unadapted() -> Any:
    """Our handler without any adapter."""
    settings.ASGI_LIFESPAN = {"ADAPTERS": None}
    return get_asgi_application()


def forgotten() -> Any:
    """Starlette outermost, and nobody runs the lifespan."""

    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Callable[..., Any]) -> Any:
            return await call_next(request)

    routes = [Mount("/", get_asgi_application())]
    return Starlette(routes=routes, middleware=[Middleware(Passing)])


def swallowed() -> Any:
    """A wrapper outermost that passes only HTTP on."""
    return http_only(get_asgi_application())


def __getattr__(name: str) -> Any:
    """Make the application ``<layout>_application``."""
    layout = name.removesuffix("_application")
    if layout == name or layout not in globals():
        raise AttributeError(name)
    return globals()[layout]()
