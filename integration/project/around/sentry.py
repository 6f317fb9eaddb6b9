"""The middleware of Sentry in front, with its integration of Django. Events go nowhere."""

from __future__ import annotations

import sentry_sdk
from asgi import application as django
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

sentry_sdk.init(traces_sample_rate=1.0)
application = SentryAsgiMiddleware(django)
