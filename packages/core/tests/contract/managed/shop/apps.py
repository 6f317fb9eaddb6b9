"""The Django app registers the manager of its client."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager

from django.apps import AppConfig

from django_asgi_lifespan.register import register_lifespan_manager
from django_asgi_lifespan.types import LifespanManager


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self) -> None:
        """Register the manager."""
        register_lifespan_manager(context_manager=client_manager)


@asynccontextmanager
async def client_manager() -> LifespanManager:
    """Have a client for as long as requests are served, unless there is nobody to connect to."""
    if "NOBODY_THERE" in os.environ:
        raise ConnectionRefusedError
    tell("client opened")
    yield {"client": lambda: tell("client used")}
    tell("client closed")


def tell(what: str) -> None:
    """Write a line to stdout."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()
