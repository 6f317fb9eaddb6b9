"""A router of Channels that refuses the lifespan, around an application that has one."""

from __future__ import annotations

from channels.routing import ProtocolTypeRouter

from django_asgi_lifespan.asgi import get_asgi_application

django = get_asgi_application()

from .consumers import Room  # noqa: E402

application = ProtocolTypeRouter({"http": django, "websocket": Room.as_asgi()})
