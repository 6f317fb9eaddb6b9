from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from . import worker
from .lifespan import http_client, prices


def price_list(request: HttpRequest) -> HttpResponse:
    return JsonResponse(prices.get())


def flour(request: HttpRequest) -> HttpResponse:
    answer = worker.run(http_client.get().get("/"))
    return HttpResponse(answer.text)


async def flour_async(request: HttpRequest) -> HttpResponse:  # fails under WSGI
    answer = await http_client.get().get("/")
    return HttpResponse(answer.text)


urlpatterns = [path("", price_list), path("flour/", flour), path("async/", flour_async)]
