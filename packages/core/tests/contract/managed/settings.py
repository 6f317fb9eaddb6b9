"""The settings of a project that registers a lifespan manager, and reads the requests' state."""

ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["shop.apps.ShopConfig"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django_asgi_lifespan.middleware.LifespanStateMiddleware",
]
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "for tests only"
