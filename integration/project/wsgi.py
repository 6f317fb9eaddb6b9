"""The WSGI application of the project, which has no place for a lifespan."""

from __future__ import annotations

import os

import journal
from django.core.wsgi import get_wsgi_application

journal.write("import", "begun", "application")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = get_wsgi_application()
journal.write("import", "ended", "application")
