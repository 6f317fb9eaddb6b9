"""The former address of ``websockets``."""

from .websockets import SERVICE_RESTART

__all__ = ("SERVICE_RESTART",)
