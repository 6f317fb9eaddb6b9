"""The settings of the test project for ``runserver``."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403
from project.settings import ASGI_LIFESPAN, INSTALLED_APPS

DEBUG = os.environ.get("DEBUG") != "no"
INSTALLED_APPS = [*INSTALLED_APPS, *os.environ["MORE_APPS"].split(), "changing"]
STATIC_URL = "/static/"
if "LOGGING" not in os.environ:
    del LOGGING  # noqa: F821 - Django's own
if "ASGI_APPLICATION" in os.environ:
    ASGI_APPLICATION = os.environ["ASGI_APPLICATION"]
if "SHUTDOWN_TIMEOUT" in os.environ:
    ASGI_LIFESPAN["SHUTDOWN_TIMEOUT"] = float(os.environ["SHUTDOWN_TIMEOUT"])
