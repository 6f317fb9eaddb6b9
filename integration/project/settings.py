"""The settings of a Django project that does as little as possible besides its lifespan."""

from __future__ import annotations

import json
import os

SECRET_KEY = "for the integration matrix alone"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = os.environ.get("ROOT_URLCONF", "urls")
ASGI_APPLICATION = os.environ.get("APPLICATION", "asgi.application")
WSGI_APPLICATION = "wsgi.application"
INSTALLED_APPS = [*json.loads(os.environ.get("FIRST_APPS", "[]")), "shop"]
DATABASES = {}
if "DATABASE" in os.environ:
    DATABASES["default"] = {"ENGINE": "noted", "NAME": "database", "CONN_MAX_AGE": None}
USE_TZ = True
DEBUG = "--insecure" in os.environ.get("RUNSERVER", "")
ASGI_LIFESPAN = json.loads(os.environ.get("ASGI_LIFESPAN", "{}"))
