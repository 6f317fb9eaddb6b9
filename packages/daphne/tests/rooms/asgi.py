"""A router of Channels with the lifespan around it, as the README has it."""

from __future__ import annotations

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

from django_asgi_lifespan.asgi import LifespanApplication

django = get_asgi_application()

from .consumers import Room  # noqa: E402

application = LifespanApplication(ProtocolTypeRouter({"http": django, "websocket": Room.as_asgi()}))
