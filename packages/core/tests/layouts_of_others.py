"""Layouts with the packages of other people: a broker, an MCP server, and tools that observe.

A test starts a server with ``layouts_of_others:mcp_application``, as with those of ``layouts``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application
from layouts import pool
from testkit import journal


def faststream() -> Any:
    """Starlette outermost, whose lifespan runs a broker, as FastStream's documentation has it."""
    from faststream.redis import RedisBroker

    broker = RedisBroker(os.environ["REDIS_URL"], logger=None)

    @broker.subscriber("words")
    async def receive(word: str) -> None:
        journal.write("subscriber", f"{word} with {type(pool.get()).__name__}")

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[None]:
        await broker.start()
        journal.write("broker", "start")
        yield
        await broker.stop()
        journal.write("broker", "stop")

    async def publish(request: Request) -> JSONResponse:
        await broker.publish("hello", "words")
        return JSONResponse({})

    routes = [Route("/publish", publish), Mount("/", get_asgi_application())]
    return LifespanApplication(Starlette(routes=routes, lifespan=lifespan))


def mcp() -> Any:
    """An MCP server outermost, with Django mounted beside its own route."""
    from mcp.server import MCPServer

    server: Any = MCPServer("shop")

    @server.tool()
    async def greet() -> str:
        """Greet with the resource of the project."""
        return f"hello {type(pool.get()).__name__}"

    application = server.streamable_http_app()
    application.mount("/", get_asgi_application())
    return LifespanApplication(application)


def sentry() -> Any:
    """Sentry's middleware outermost, with its integration of Django. Its events are journaled."""
    import sentry_sdk
    from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
    from sentry_sdk.transport import Transport

    class JournalTransport(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            for item in envelope.items:
                event = item.get_event() or item.get_transaction_event()
                if event is not None and "exception" in event:
                    [error] = event["exception"]["values"]
                    journal.write("sentry", f"{error['type']} in {event['transaction']}")

    sentry_sdk.init("http://key@127.0.0.1/1", transport=JournalTransport, traces_sample_rate=1.0)
    return SentryAsgiMiddleware(get_asgi_application())


def opentelemetry() -> Any:
    """OpenTelemetry's middleware outermost, with its instrumentation of Django."""
    from opentelemetry import trace
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (
        SimpleSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    class JournalExporter(SpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            for span in spans:
                if span.kind is trace.SpanKind.SERVER:
                    journal.write("span", span.name)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(JournalExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    return OpenTelemetryMiddleware(get_asgi_application())


def ddtrace() -> Any:
    """Our handler under Datadog's tracer, whose spans are journaled."""
    _journal_spans()
    return get_asgi_application()


def ddtrace_stock() -> Any:
    """Django's own handler under Datadog's tracer, inside of LifespanApplication."""
    from django.core import asgi

    _journal_spans()
    return LifespanApplication(asgi.get_asgi_application())


def _journal_spans() -> None:
    from ddtrace.trace import TraceFilter, tracer

    class JournalFilter(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            names = [span.name for span in trace if span.name in ("django.request", "django.view")]
            journal.write("spans", " ".join(names))

    tracer.configure(trace_processors=[JournalFilter()])


def __getattr__(name: str) -> Any:
    """Make the application ``<layout>_application``, once. Some servers ask twice."""
    layout = name.removesuffix("_application")
    if layout == name or layout not in globals():
        raise AttributeError(name)
    globals()[name] = globals()[layout]()
    return globals()[name]
