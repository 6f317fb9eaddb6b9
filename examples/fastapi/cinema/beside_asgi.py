import os

from starlette.types import Receive, Scope, Send

from django_asgi_lifespan import mounted_application
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cinema.settings")
django_application = get_asgi_application()

from cinema.api import make_api  # noqa: E402 - Django has to be set up before
from cinema.lifespan import films  # noqa: E402

api = mounted_application(make_api(), name="api", requires=[films])


async def route(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] in ("http", "websocket") and scope["path"] == "/tickets":
        await api.get()(scope, receive, send)
    else:
        await django_application(scope, receive, send)


application = LifespanApplication(route)
