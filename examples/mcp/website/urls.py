from django.contrib.flatpages.models import FlatPage
from django.http import HttpRequest, JsonResponse
from django.urls import path


async def titles(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"titles": [page.title async for page in FlatPage.objects.all()]})


urlpatterns = [path("", titles)]
