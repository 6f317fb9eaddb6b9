"""Views that say which connection they have."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path


def show(request: HttpRequest) -> HttpResponse:
    """Answer with the process of PostgreSQL that serves the connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return HttpResponse(str(cursor.fetchone()[0]))


urlpatterns = [path("sync/", show), path("async/", sync_to_async(show))]
