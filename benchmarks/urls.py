"""The one view of the benchmark's Django project."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


async def trivial(request: HttpRequest) -> HttpResponse:
    """Answer with two letters."""
    return HttpResponse(b"ok")


urlpatterns = [path("", trivial)]
