"""The WSGI application of the project, which has no place for a lifespan."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from testkit import journal

journal.write("application", "begun")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = get_wsgi_application()
journal.write("application", "ended")
