"""Run the command: ``granian-lifespan``, or ``python -m django_asgi_lifespan_granian``."""

from __future__ import annotations

import signal
import sys
from types import FrameType

__all__ = ("main",)


def main() -> None:
    """Run the command. An OS signal ends it from here on, while granian is imported, too.

    The first process of a container ignores an OS signal that it does not handle.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    from .command import main as command

    command()


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
