"""The twin of daphne's command: all of its options, and what only another server can mend."""

# daphne has no types:
# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import signal
import sys

import daphne.cli

from .server import LifespanServer

__all__ = ("CommandLineInterface", "main")


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


def main() -> None:
    """Run daphne with its own options; see the README for what is different."""
    try:
        CommandLineInterface.entrypoint()
    except KeyboardInterrupt:  # while the application was imported
        sys.exit(128 + signal.SIGINT)
