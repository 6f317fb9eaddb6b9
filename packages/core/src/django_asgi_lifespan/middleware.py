"""A middleware that gives requests their ``state``, for requests that are not of our handler."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .errors import ResourceUnavailableError
from .state import get_state

if sys.version_info >= (3, 12):
    from inspect import iscoroutinefunction, markcoroutinefunction
else:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction

__all__ = ("AsyncMiddleware", "LifespanStateMiddleware")

GetResponse = Callable[[HttpRequest], "HttpResponseBase | Awaitable[HttpResponseBase]"]


class LifespanStateMiddleware:
    """Sets ``request.state``: the state of the ASGI scope, else a copy of the running lifespan's.

    Requests that our handler serves have it without this middleware. Requests from Django's own
    test clients and from WSGI servers do not. If no lifespan runs, the state is empty.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Return the response, or an awaitable of it where the next one is asynchronous."""
        any_request: Any = request  # HttpRequest declares no state
        any_request.state = _state_of(request)
        return self.get_response(request)


AsyncMiddleware = LifespanStateMiddleware
"""The name of the middleware before django-asgi-lifespan 0.4. Deprecated."""


def _state_of(request: HttpRequest) -> Any:
    scope = getattr(request, "scope", {})
    if "state" in scope:
        return scope["state"]
    if "state" in vars(request):  # our synchronous test client has set it
        return vars(request)["state"]
    try:
        return get_state().copy()
    except ResourceUnavailableError:
        return {}
