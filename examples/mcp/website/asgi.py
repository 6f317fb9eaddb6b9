import os

from starlette.types import Receive, Scope, Send

from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
django_application = get_asgi_application()

from search.lifespan import mcp_application  # noqa: E402 - Django has to be set up before


async def route(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http" and scope["path"] == "/mcp":
        await mcp_application.get()(scope, receive, send)
    else:
        await django_application(scope, receive, send)


application = LifespanApplication(route)
