"""Views of the project with the queue."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path

from django_asgi_lifespan import ResourceUnavailableError
from testkit import gates

from .lifespan import jobs


async def put(request: HttpRequest, job: str) -> JsonResponse:
    """Put a job into the queue; without a queue, an internal error."""
    jobs.get().put_nowait(job)
    return JsonResponse({"accepted": job})


async def put_with_care(request: HttpRequest, job: str) -> JsonResponse:
    """Put a job into the queue, or tell the client why that cannot be."""
    try:
        return await put(request, job)
    except ResourceUnavailableError as error:
        return JsonResponse({"error": str(error)}, status=503)


async def held_view(request: HttpRequest) -> JsonResponse:
    """Answer when the test says so."""
    await gates.hold("request")
    return JsonResponse({})


urlpatterns = [
    path("put/<job>/", put),
    path("put-with-care/<job>/", put_with_care),
    path("held/", held_view),
]
