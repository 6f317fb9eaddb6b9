"""Run the command: ``uvicorn-lifespan``, or ``python -m django_asgi_lifespan_uvicorn``."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType

__all__ = ("main",)

OS_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command. An OS signal ends it from here on, while uvicorn is imported, too.

    The first process of a container ignores an OS signal that it does not handle.
    """
    for number in OS_SIGNALS:
        signal.signal(number, _end)
    if sys.stdout is None:
        _open_stdout()
    from .command import main as command

    command()


def _open_stdout() -> None:
    """Open a standard output where it was closed, for this process and its workers.

    uvicorn asks whether it is a terminal. uvloop aborts the process if a file of its own has the
    number of a closed stream.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.set_inheritable(null, True)
    sys.stdout = os.fdopen(null, "w", closefd=False)


def _end(number: int, frame: FrameType | None) -> None:
    for each in OS_SIGNALS:  # another one would cut the end short
        signal.signal(each, _do_nothing)
        atexit.register(signal.signal, each, signal.SIG_IGN)
    sys.exit()


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Stand for SIG_IGN, of which Python complains if it is set while an OS signal arrives."""


if __name__ == "__main__":
    main()
