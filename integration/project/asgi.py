"""The ASGI application of the project: Django's own handler, or ours."""

from __future__ import annotations

import atexit
import os
from importlib import import_module

from behaviour import HOLDS_IMPORT, SETUP

from testkit import gates, journal

import_module("reloaded")  # a scenario changes it
journal.write("application", "begun")
atexit.register(journal.write, "atexit", "run")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
if HOLDS_IMPORT:
    gates.block("import")

if SETUP == "stock":
    from django.core.asgi import get_asgi_application
else:
    from django_asgi_lifespan.asgi import get_asgi_application

application = get_asgi_application()
journal.write("application", "ended")
