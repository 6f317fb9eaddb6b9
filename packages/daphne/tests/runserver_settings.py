"""The settings of the test project for ``runserver``."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS, ROOT_URLCONF

ASGI_APPLICATION = f"{os.environ.get('ASGI', 'project.asgi')}.application"
DEBUG = True
INSTALLED_APPS = [*os.environ["MORE_APPS"].split(), *INSTALLED_APPS, "changing"]
ROOT_URLCONF = os.environ.get("ROOT_URLCONF", ROOT_URLCONF)
STATIC_URL = "/static/"
