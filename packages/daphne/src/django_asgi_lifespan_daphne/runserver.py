"""The end of the development server, under the autoreloader and without."""

from __future__ import annotations

import sys

from django_asgi_lifespan.adapters import SHUTDOWN_FAILURE, exit_despite_threads

from .stop import current, logger

__all__ = ("end_process", "stop_server")


def stop_server() -> int:
    """Stop the server that another thread runs, and return the exit code when it has ended.

    A startup that failed has been shown, and waited for the next change of a file.
    """
    served = current()
    code = 0 if served is None else served.close()
    return code if code == SHUTDOWN_FAILURE else 0


def end_process() -> None:
    """End the process of a server that has ended, threads left behind or not.

    Raises:
        SystemExit: with 3 where the startup failed, with 1 where the shutdown failed.
    """
    served = current()
    if served is not None:
        exit_despite_threads(logger, code=served.exit_code or SHUTDOWN_FAILURE)
        sys.exit(served.exit_code)
