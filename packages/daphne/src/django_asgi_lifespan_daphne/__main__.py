"""Run the command: ``daphne-lifespan``, or ``python -m django_asgi_lifespan_daphne``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ("main",)


def main() -> None:
    """Run daphne with its own options. The README says what is different."""
    signal.signal(signal.SIGTERM, _die)
    try:
        from .command import CommandLineInterface

        CommandLineInterface.entrypoint()
    except KeyboardInterrupt:  # while the application was imported
        sys.exit(128 + signal.SIGINT)


def _die(number: int, frame: FrameType | None) -> None:
    """Die of an OS signal during the import, also as the first process of a container.

    The kernel keeps that one from dying of an OS signal.
    """
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


if __name__ == "__main__":
    main()
