"""The dispatcher of hypercorn in front, which has the whole site for its only mount."""

from __future__ import annotations

from asgi import application as django
from hypercorn.middleware import DispatcherMiddleware

application = DispatcherMiddleware({"": django})
