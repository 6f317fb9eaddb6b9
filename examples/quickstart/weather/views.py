from django.conf import settings
from django.http import HttpRequest, HttpResponse

from .lifespan import http_client


async def forecast(request: HttpRequest) -> HttpResponse:
    answer = await http_client.get().get(settings.WEATHER_URL)
    return HttpResponse(answer.text)
