"""A module of django-asgi-lifespan 0.5. Deprecated: see ``legacy``."""

from .legacy import send_lifespan_signal_collecting_contexts, send_lifespan_signal_compat
from .signals import LifespanSender

__all__ = (
    "LifespanSender",
    "send_lifespan_signal_collecting_contexts",
    "send_lifespan_signal_compat",
)
