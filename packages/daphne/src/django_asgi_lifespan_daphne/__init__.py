"""Daphne with a lifespan: by hooks under its own command, by a command, and by a ``runserver``."""

__version__ = "1.0.0"

__all__ = ()
