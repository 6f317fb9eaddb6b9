"""Test clients whose requests go through the ASGI handler.

Django's own call the middlewares and the view without one.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from asgiref.sync import async_to_sync
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.test.client import AsyncClientHandler, ClientHandler, conditional_content_removal

from .handlers import ASGIHandler, current

__all__ = ("AsyncSuiteClient", "SuiteClient", "end_event_loop")


class _Exchange:
    """One request of a client, and the objects that Django made of it."""

    request: Any = None
    response: Any = None

    def __init__(self, body: bytes, meta: dict[str, Any], *, enforce_csrf_checks: bool) -> None:
        self.body = body
        self.meta = meta
        self.enforce_csrf_checks = enforce_csrf_checks


class _Handler(ASGIHandler):  # type: ignore[misc, unused-ignore]
    async def get_response_async(self, request: Any) -> Any:
        exchange = request.scope["exchange"]
        request._dont_enforce_csrf_checks = not exchange.enforce_csrf_checks
        for name, value in exchange.meta.items():
            request.META.setdefault(name, value)
        exchange.request = request
        handler: Any = super()
        exchange.response = await handler.get_response_async(request)
        return exchange.response


async def _serve(handler: Any, scope: dict[str, Any], exchange: _Exchange) -> Any:
    """Return the response of the handler, as a client gets it."""
    bodies = [exchange.body]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if bodies:
            return {"type": "http.request", "body": bodies.pop()}
        await asyncio.get_running_loop().create_future()  # the client stays
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await handler({**scope, "exchange": exchange}, receive, send)
    chunks = [message.get("body", b"") for message in sent[1:]]
    response = exchange.response
    if response is None:  # there was no request
        response = HttpResponse(b"".join(chunks), status=sent[0]["status"])
    elif response.streaming:
        response.streaming_content = _again(chunks[:-1]) if response.is_async else chunks[:-1]
    if exchange.request is not None:
        conditional_content_removal(exchange.request, response)
    return response


async def _again(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class _Connections:
    """Django's clients do not let a request close the connections of the test."""

    def __enter__(self) -> None:
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)

    def __exit__(self, *_: object) -> None:
        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)


class _SyncHandler(ClientHandler):
    handler: Any = None

    def __call__(self, environ: dict[str, Any]) -> Any:
        if self.handler is None:
            self.handler = _Handler()
        body = environ["wsgi.input"].read()
        exchange = _Exchange(body, environ, enforce_csrf_checks=self.enforce_csrf_checks)
        with _Connections():
            response = _run(_serve(self.handler, _scope(environ), exchange))
        response.wsgi_request = exchange.request
        return response


class _AsyncHandler(AsyncClientHandler):
    handler: Any = None

    async def __call__(self, scope: dict[str, Any]) -> Any:
        if self.handler is None:
            self.handler = _Handler()
        file = scope.pop("_body_file", None)
        body = b"" if file is None else file.read()
        exchange = _Exchange(body, {}, enforce_csrf_checks=self.enforce_csrf_checks)
        with _Connections():
            response = await _serve(self.handler, scope, exchange)
        response.asgi_request = exchange.request
        return response


class SuiteClient(Client):
    """Django's test client, through the handler."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handler = _SyncHandler(self.handler.enforce_csrf_checks)


class AsyncSuiteClient(AsyncClient):
    """Django's async test client, through the handler."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handler = _AsyncHandler(self.handler.enforce_csrf_checks)


def _scope(environ: dict[str, Any]) -> dict[str, Any]:
    """Return the ASGI scope of a WSGI environment."""
    names = [name for name in environ if name.startswith("HTTP_")]
    names += [name for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)]
    root = environ.get("SCRIPT_NAME", "")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "root_path": root,
        "path": root + environ["PATH_INFO"].encode("latin1").decode(errors="replace"),
        "query_string": environ.get("QUERY_STRING", "").encode("latin1"),
        "headers": [
            (
                name.removeprefix("HTTP_").replace("_", "-").lower().encode("latin1"),
                str(environ[name]).encode("latin1", "replace"),
            )
            for name in names
        ],
        "client": (environ["REMOTE_ADDR"], 0),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }


class _EventLoop:
    """An event loop in a thread, in which requests follow one another as in a server."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._wait(),))
        self._thread.start()
        self._started.wait()

    async def _wait(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_over = asyncio.Event()
        self._started.set()
        await self._is_over.wait()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of the coroutine, which runs in a copy of the caller's context."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def end(self) -> None:
        """Cancel everything in the loop, and wait for the end."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()


_event_loops: list[_EventLoop] = []


def _run(serving: Coroutine[Any, Any, Any]) -> Any:
    """Run a request: in the loop of all tests, or in the transaction of the test that runs."""
    if not current.has_database:
        if not _event_loops:
            _event_loops.append(_EventLoop())
        return _event_loops[0].run(serving)

    async def serve() -> Any:
        return await serving

    return async_to_sync(serve)()


def end_event_loop() -> None:
    """End the loop of all tests, if there was one."""
    for event_loop in _event_loops:
        event_loop.end()
