"""The store's views: each takes what is open already by calling ``.get()``."""

from django import forms
from django.http import HttpRequest, JsonResponse
from django.views import View

from .lifespan import Order, catalogue, consumer, database, http_client


class OrderForm(forms.Form):
    article = forms.CharField()
    quantity = forms.IntegerField(min_value=1)

    def clean_article(self) -> str:
        article: str = self.cleaned_data["article"]
        if article not in catalogue.get():
            raise forms.ValidationError("The shop does not have it.")
        return article


class Orders(View):
    async def get(self, request: HttpRequest) -> JsonResponse:
        """Every order that the consumer has written."""
        rows = await database.get().execute_fetchall("SELECT article, quantity FROM orders")
        return JsonResponse([str(Order(*row)) for row in rows], safe=False)

    async def post(self, request: HttpRequest) -> JsonResponse:
        """Accept an order, and leave it to the consumer."""
        form = OrderForm(request.POST)
        if not form.is_valid():
            return JsonResponse(form.errors.get_json_data(), status=400)
        order = Order(**form.cleaned_data)
        await consumer.get().send(order)
        return JsonResponse({"accepted": str(order)}, status=202)


async def show_catalogue(request: HttpRequest) -> JsonResponse:
    """The price of each article."""
    return JsonResponse(catalogue.get())


async def show_stock(request: HttpRequest, article: str) -> JsonResponse:
    """How many the supplier has at this moment."""
    response = await http_client.get().get(f"/stock/{article}")
    return JsonResponse(response.json(), status=response.status_code)
