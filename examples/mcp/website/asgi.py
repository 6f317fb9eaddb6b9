import os
from typing import Any

from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
django_application = get_asgi_application()

from search.lifespan import mcp_application  # noqa: E402 - Django has to be set up before


async def route(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/mcp":
        await mcp_application.get()(scope, receive, send)
    else:
        await django_application(scope, receive, send)


application = LifespanApplication(route)
