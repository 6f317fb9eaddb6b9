"""An ASGI module that fails when Django is set up, and so logging is configured."""

from __future__ import annotations

import os

from .asgi import application

__all__ = ("application",)

raise {"LookupError": LookupError, "SystemExit": SystemExit}[os.environ["RAISING"]]("on purpose")
