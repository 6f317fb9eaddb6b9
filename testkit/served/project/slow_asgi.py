"""The same application, of which the import takes until the test lets it go on."""

from __future__ import annotations

from testkit import gates

gates.block("import")

from .asgi import application  # noqa: E402

__all__ = ("application",)
