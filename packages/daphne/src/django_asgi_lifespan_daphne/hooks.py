"""What the adapter does under daphne's own command and under its ``runserver``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_asgi_lifespan.driver import Application
    from django_asgi_lifespan.protocol import Receive

__all__ = ("application_made", "lifespan")


def application_made(application: Application) -> None:
    """Wait for daphne to run this process, which it may never do.

    With ``daphne`` in ``INSTALLED_APPS`` its server is loaded in every process of the project.
    Where it is not, nothing is loaded here either: that would install a reactor of Twisted.
    """
    if "daphne.server" in sys.modules:
        from .watch import watch_reactor

        watch_reactor(application)


def lifespan(receive: Receive) -> None:
    """Do nothing: daphne starts no lifespan, so this one is that of another server, or ours."""
