import os

from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cinema.settings")
django_application = get_asgi_application()

from cinema.api import make_api  # noqa: E402 - Django has to be set up before

api = make_api()
api.mount("/", django_application)

application = LifespanApplication(api)
