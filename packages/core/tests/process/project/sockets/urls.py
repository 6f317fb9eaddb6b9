"""No views: the WebSockets stand before Django."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []
