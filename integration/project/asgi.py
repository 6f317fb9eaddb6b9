"""The ASGI application of the project: Django's own handler, or ours."""

from __future__ import annotations

import atexit
import os
from importlib import import_module

import journal
from behaviour import HOLDS_IMPORT, SETUP, blocking_gate

import_module("reloaded")  # a scenario changes it
journal.write("import", "begun", "application")
atexit.register(journal.write, "exit", "run", "atexit")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
if HOLDS_IMPORT:
    blocking_gate("import")

if SETUP == "stock":
    from django.core.asgi import get_asgi_application
else:
    from django_asgi_lifespan.asgi import get_asgi_application

application = get_asgi_application()
journal.write("import", "ended", "application")
