from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse

from .lifespan import http_client


async def page(request: HttpRequest) -> HttpResponse:
    answer = await http_client.get().get("/forecast")
    number = await Group.objects.acount()
    return HttpResponse(f"{answer.text}, {number} groups")
