"""The twin of daphne's command: the same options, another server."""

# daphne has no types:
# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import daphne.cli

from .server import LifespanServer

__all__ = ("CommandLineInterface",)


class CommandLineInterface(daphne.cli.CommandLineInterface):
    """Daphne's command with another server."""

    server_class = LifespanServer

    def __init__(self) -> None:
        super().__init__()
        self.parser.prog = "daphne-lifespan"
        self.parser.epilog = (
            "The application starts up before the port is open. When it is told to stop, daphne "
            "lets requests in flight end, for as long as --application-close-timeout has it, and "
            "then the application shuts down."
        )
