import os

SECRET_KEY = "for the example only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["bakery"]
ROOT_URLCONF = "bakery.urls"
WSGI_APPLICATION = "bakery.wsgi.application"
USE_TZ = True

PRICES = os.environ.get("PRICES", "prices.json")
FLOUR_URL = os.environ.get("FLOUR_URL", "http://127.0.0.1:9000")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django_asgi_lifespan": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.request": {"handlers": ["console"]},
    },
}
