from django.http import HttpRequest, JsonResponse
from django.urls import path

from .lifespan import stock


async def count(request: HttpRequest) -> JsonResponse:
    return JsonResponse(stock.get())


urlpatterns = [path("", count)]
