"""The store's URLs."""

from django.urls import path

from . import views

urlpatterns = [
    path("catalogue", views.show_catalogue),
    path("orders", views.Orders.as_view()),
    path("stock/<slug:article>", views.show_stock),
]
