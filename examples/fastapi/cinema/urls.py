from django.http import HttpRequest, JsonResponse
from django.urls import path

from .lifespan import films


async def programme(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"films": films.get()})


urlpatterns = [path("", programme)]
