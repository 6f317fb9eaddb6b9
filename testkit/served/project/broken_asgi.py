"""An ASGI module that cannot be imported."""

from __future__ import annotations

raise LookupError("broken on purpose")
