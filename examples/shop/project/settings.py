"""The shop's settings. What differs between two machines comes from the environment."""

import os

SECRET_KEY = "for the demo only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["store"]
ROOT_URLCONF = "project.urls"
USE_TZ = True

SUPPLIER_URL = os.environ["SUPPLIER_URL"]
SHOP_DATABASE = os.environ["SHOP_DATABASE"]

# Shows lines such as "http_client started in 12 ms". The demo compares their times with the times
# of its requests, so they are written as plain numbers.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"timed": {"format": "%(created).6f %(levelname)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "timed"}},
    "root": {"handlers": ["console"]},
    "loggers": {"django_asgi_lifespan": {"level": "INFO"}},
}
