"""Requests under Sentry or OpenTelemetry: `python -m request_threads.traced_requests NAME`.

Prints as JSON, for stock Django and for request threads, which request each report belongs to. A
process of its own, because both change Django.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_asgi_lifespan.driver import LifespanDriver
from django_asgi_lifespan.handler import LifespanASGIHandler

from .helpers import get

__all__ = ("urlpatterns",)

REQUESTS = 8
Reports = list[tuple[str, ...]]
work: Callable[[str], None]


def sync(request: HttpRequest) -> HttpResponse:
    """Report something in synchronous code."""
    work(f"sync {request.GET['number']}")
    return HttpResponse()


async def mixed(request: HttpRequest) -> HttpResponse:
    """Do so from an async view."""
    await sync_to_async(work)(f"mixed {request.GET['number']}")
    return HttpResponse()


urlpatterns = [path("sync", sync), path("mixed", mixed)]


def query() -> None:
    """Ask the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def trace_with_sentry() -> Callable[[], Reports]:
    """Report errors with a tag and a breadcrumb. Return a function that returns all three."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    global work
    events: list[Any] = []

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            events.extend(item.payload.json for item in envelope.items if item.payload.json)

    def report(name: str) -> None:
        sentry_sdk.set_tag("request", name)
        sentry_sdk.add_breadcrumb(message=name)
        query()
        raise ValueError(name)

    def reports() -> Reports:
        sentry_sdk.flush()
        found = [
            (
                event["exception"]["values"][-1]["value"],
                event["tags"]["request"],
                *(
                    crumb["message"]
                    for crumb in event["breadcrumbs"]["values"]
                    if crumb.get("category") != "query"
                ),
            )
            for event in events
            if "exception" in event
        ]
        events.clear()
        return found

    work = report
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept, traces_sample_rate=1.0)
    return reports


def trace_with_opentelemetry() -> Callable[[], Reports]:
    """Begin a span in each request. Return a function that returns it with its parent's URL."""
    from opentelemetry import trace
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    global work
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    tracer = trace.get_tracer(__name__)

    def begin(name: str) -> None:
        with tracer.start_as_current_span(name):
            query()

    def reports() -> Reports:
        spans: Any = exporter.get_finished_spans()
        by_id = {span.context.span_id: span for span in spans}
        found: Reports = []
        for span in spans:
            if span.name.partition(" ")[0] in ("sync", "mixed"):
                url = dict(by_id[span.parent.span_id].attributes)["http.url"]
                found.append((span.name, url.rpartition("/")[2].replace("?number=", " ")))
        exporter.clear()
        return found

    work = begin
    return reports


async def main(reports: Callable[[], Reports]) -> None:
    """Send the requests at once, and one after the other."""
    told: dict[str, Reports] = {}
    urls = [f"/{view}?number={number}" for number in range(REQUESTS) for view in ("sync", "mixed")]
    ours = LifespanASGIHandler()
    async with LifespanDriver(ours):
        for name, handler in (("stock", ASGIHandler()), ("request threads", ours)):
            await asyncio.gather(*[get(handler, url) for url in urls])
            for url in urls:
                await get(handler, url)
            told[name] = sorted(reports())
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ASGI_LIFESPAN={"REQUEST_THREADS": 1},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        ROOT_URLCONF=__name__,
    )
    tracers = {"sentry": trace_with_sentry, "opentelemetry": trace_with_opentelemetry}
    trace = tracers[sys.argv[1]]()
    django.setup()
    asyncio.run(main(trace))
