"""The settings of a project of one Django app, which the environment chooses."""

from __future__ import annotations

import os

ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [os.environ["DJANGO_APP"]]
ROOT_URLCONF = f"{os.environ['DJANGO_APP']}.urls"
SECRET_KEY = "for tests only"
USE_TZ = True
ASGI_LIFESPAN: dict[str, object] = {}
if os.environ.get("ADAPTERS") == "none":
    ASGI_LIFESPAN["ADAPTERS"] = None
if "STARTUP_TIMEOUT" in os.environ:
    ASGI_LIFESPAN["STARTUP_TIMEOUT"] = float(os.environ["STARTUP_TIMEOUT"])
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"named": {"format": "%(name)s %(levelname)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "named"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
