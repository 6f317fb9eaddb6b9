"""Views that answer with the request's view of the lifespan, at once or when the scenario says."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from behaviour import SETUP
from django.db import connection
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from testkit import gates, journal


def _look(request: Any) -> dict[str, Any]:
    """Return this request's view of the lifespan."""
    state = getattr(request, "scope", {}).get("state")
    return {
        "pid": os.getpid(),
        "thread": threading.get_ident(),
        "state": None if state is None else sorted(state),
        "shared": None if not state else state.get("base"),
        "get": _get(),
    }


def _get() -> str:
    """Return the value of the resource that was asked for in code, or why there is none."""
    if SETUP == "stock":
        return "none"
    from shop.lifespan import dependent

    from django_asgi_lifespan import ResourceUnavailableError

    try:
        return dependent.get()
    except ResourceUnavailableError as error:
        return str(error)


async def look(request: HttpRequest) -> JsonResponse:
    """Answer with the view of an async view function."""
    journal.write("request", "begun")
    return JsonResponse(_look(request))


def look_sync(request: HttpRequest) -> JsonResponse:
    """Answer with the view of a sync view function."""
    journal.write("sync request", "begun")
    return JsonResponse(_look(request))


async def change(request: Any) -> JsonResponse:
    """Put a key into the state of this request, and an item into the list that all share."""
    state = request.scope.get("state", {})
    state["changed"] = True
    state.get("base", []).append("item")
    return JsonResponse({"state": sorted(state)})


def query(request: HttpRequest) -> JsonResponse:
    """Query the database, and answer when the gate ``request`` is open."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    gates.block("request")
    return JsonResponse(_look(request))


async def hold(request: HttpRequest) -> JsonResponse:
    """Answer when the gate ``request`` is open, with the request's view at that time."""
    journal.write("held request", "begun")
    await gates.hold("request")
    seen = _look(request)
    journal.write("held request", "ended")
    return JsonResponse(seen)


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Send one line at once, and the last one when the gate ``request`` is open."""

    async def lines() -> AsyncIterator[bytes]:
        yield b"first\n"
        journal.write("stream", "begun")
        await gates.hold("request")
        yield _get().encode() + b"\n"
        journal.write("stream", "ended")

    return StreamingHttpResponse(lines())


_VIEWS: dict[str, Callable[..., Any]] = {
    "": look,
    "sync/": look_sync,
    "change/": change,
    "query/": query,
    "held/": hold,
    "stream/": stream,
}
urlpatterns = [path(route, view) for route, view in _VIEWS.items()]
