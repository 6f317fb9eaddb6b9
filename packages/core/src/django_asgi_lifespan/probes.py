"""Probes: whether a worker is up, has started, and is ready for requests.

``include("django_asgi_lifespan.probes")`` gives them as views, behind the middleware.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from .conf import lifespan_settings
from .health import failures
from .lifespan import registered
from .lifespans import Lifespan, lifespans

if TYPE_CHECKING:
    from .protocol import Scope, Send
    from .roles import Phase

__all__ = ("PROBES", "Probes", "urlpatterns")

PROBES = ("livez", "readyz", "startupz")

_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


class Probes:
    """Answers the probes below *prefix* in the place of the application."""

    def __init__(self, prefix: str) -> None:
        self._names = {prefix + name: name for name in PROBES}

    def find(self, scope: Scope) -> str | None:
        """Return the name of the probe that a request is, if it is one."""
        if scope["type"] != "http":
            return None
        return self._names.get(scope["path"].removeprefix(scope.get("root_path", "")))

    async def answer(
        self, name: str, latest: Lifespan | Phase | None, scope: Scope, send: Send
    ) -> None:
        """Send the answer of the probe *name* about the lifespan *latest*, or its outcome."""
        options = {each.partition(b"=")[0] for each in scope["query_string"].split(b"&")}
        status, text, headers = await _answer(
            name, latest, scope["method"], verbose=b"verbose" in options
        )
        body = text.encode()
        fields = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
        fields.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        body = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": body})


def _view(name: str) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]:
    async def view(request: HttpRequest) -> HttpResponse:
        loop = asyncio.get_running_loop()
        here = [lifespan for lifespan in lifespans.unfinished if lifespan.loop is loop]
        status, text, headers = await _answer(
            name, here[-1] if here else None, request.method, verbose="verbose" in request.GET
        )
        return HttpResponse(text, status=status, headers=headers)

    return view


urlpatterns = [path(name, _view(name), name=name) for name in PROBES]


async def _answer(
    name: str, latest: Lifespan | Phase | None, method: str | None, *, verbose: bool
) -> tuple[int, str, dict[str, str]]:
    """Return status, text and header fields of an answer."""
    if method not in ("GET", "HEAD"):
        return 405, "Use GET or HEAD.\n", {**_HEADERS, "Allow": "GET, HEAD"}
    lifespan = latest if isinstance(latest, Lifespan) else None
    failing: Mapping[str, str] = {}
    reason = _why_not(name, latest)
    if name == "readyz" and lifespan is not None and not reason:
        failing = await failures(lifespan)
        reason = "a check fails: see the log" if failing else ""
    lines = [f"{name}: {reason or 'ok'}"]
    if verbose and lifespan is not None:
        lines += [_line(lifespan, resource, failing) for resource in lifespan.resources]
    return 503 if reason else 200, "\n".join([*lines, ""]), _HEADERS


def _why_not(name: str, latest: Lifespan | Phase | None) -> str:
    """Return why the answer is no before any check is made, or an empty string."""
    phase = latest.phase if isinstance(latest, Lifespan) else latest
    if phase == "failed":  # a restart is the only remedy
        return "the startup has failed: see the log"
    if name == "livez":
        return ""
    if phase is None:
        return "the server has started no lifespan: see the log" if registered() else ""
    if phase == "starting":
        return "the startup goes on"
    if name == "startupz":
        return ""
    if phase == "running" and isinstance(latest, Lifespan):
        return "the worker stops" if latest.is_leaving or latest.stopping.is_set() else ""
    return "the worker stops"


def _line(lifespan: Lifespan, resource: Any, failing: Mapping[str, str]) -> str:
    if resource.name in failing:
        told = settings.DEBUG or lifespan_settings().probes_verbose
        return f"{resource.name}: {failing[resource.name] if told else 'its check fails'}"
    return f"{resource.name}: {'open' if resource in lifespan.values else 'not open'}"
