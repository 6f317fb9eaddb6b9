"""The Django app connects what opens and closes its client."""

from __future__ import annotations

from django.apps import AppConfig

from django_asgi_lifespan.signals import asgi_shutdown, asgi_startup

from .client import close_httpx_client, create_httpx_client


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self) -> None:
        """Connect the receivers, which take no parameters."""
        asgi_startup.connect(create_httpx_client)
        asgi_shutdown.connect(close_httpx_client)
