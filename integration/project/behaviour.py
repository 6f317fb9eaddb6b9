"""The scenario's wishes, in environment variables."""

from __future__ import annotations

import os

SETUP = os.environ["SETUP"]
"""``stock``: stock Django, without our package. Otherwise it is our handler."""

STARTUP = os.environ.get("STARTUP", "")
"""The behaviour of the resource ``dependent`` as it starts up: see ``lifespan.py``."""

SHUTDOWN = os.environ.get("SHUTDOWN", "")
"""Its behaviour as it shuts down."""

HOLDS_IMPORT = "HOLDS_IMPORT" in os.environ
"""The import of the application ends when the gate ``import`` is open."""
