"""The settings of a project of one Django app, which the environment chooses."""

from __future__ import annotations

import os

from .logs import logging_of

ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [os.environ["DJANGO_APP"]]
ROOT_URLCONF = f"{os.environ['DJANGO_APP']}.urls"
SECRET_KEY = "for tests only"
USE_TZ = True
ASGI_LIFESPAN: dict[str, object] = {}
if os.environ.get("ADAPTERS") == "none":
    ASGI_LIFESPAN["ADAPTERS"] = None
for setting in ("STARTUP_TIMEOUT", "STARTUP_WARNING", "SHUTDOWN_TIMEOUT", "DRAIN_DELAY"):
    if setting in os.environ:
        ASGI_LIFESPAN[setting] = float(os.environ[setting])
if "PROBES" in os.environ:
    ASGI_LIFESPAN["PROBES"] = os.environ["PROBES"]
if "POSTGRESQL" in os.environ:
    ASGI_LIFESPAN["REQUEST_THREADS"] = 4
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "tester",
            "HOST": os.environ["POSTGRESQL"].partition("host=")[2],
            "CONN_MAX_AGE": None,
            "OPTIONS": {"application_name": f"worker {os.getpid()}"},
        }
    }
LOGGING = logging_of(os.environ.get("LOGGING", ""))
