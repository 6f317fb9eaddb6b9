"""The twin of uvicorn's command: the same options, and a parent process that tells of failures."""

from __future__ import annotations

import contextlib
import copy
import sys
from pathlib import Path
from typing import Any

import click
from uvicorn.config import LOGGING_CONFIG
from uvicorn.main import main as uvicorn_command

from django_asgi_lifespan.adapters import (
    DEFAULT_LIMIT,
    RELOAD_LIMIT,
    SHUTDOWN_FAILURE,
    STARTUP_FAILURE,
    exit_despite_threads,
)

from .server import Config, Server
from .stop import logger
from .supervisors import Reloader, Supervisor

__all__ = ("main",)


def _parameters() -> list[click.Parameter]:
    """Return uvicorn's parameters, two of them with other defaults."""
    changed = {
        "timeout_graceful_shutdown": {
            "help": f"Maximum number of seconds to wait for requests in flight at a stop.  "
            f"[default: {DEFAULT_LIMIT}; with --reload {RELOAD_LIMIT}]"
        },
        "lifespan": {"default": "on"},
    }
    parameters: list[click.Parameter] = []
    for parameter in uvicorn_command.params:
        twin = copy.copy(parameter)
        vars(twin).update(changed.get(twin.name or "", {}))
        parameters.append(twin)
    return parameters


@click.command(
    name="uvicorn-lifespan",
    params=_parameters(),
    context_settings=uvicorn_command.context_settings,
    help="Run uvicorn with an orderly start and stop of the lifespan. The options are uvicorn's.",
)
def main(*, app_dir: str, headers: list[str], log_config: str | None, **options: Any) -> None:
    """Run uvicorn with its own options; see the README for what is different."""
    sys.path.insert(0, app_dir)
    if options["timeout_graceful_shutdown"] is None:
        options["timeout_graceful_shutdown"] = RELOAD_LIMIT if options["reload"] else DEFAULT_LIMIT
    _run(
        Config(
            **options,
            headers=[_pair(header) for header in headers],
            log_config=LOGGING_CONFIG if log_config is None else log_config,
        )
    )


def _pair(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon:
        raise click.BadParameter(f"{header!r} is not Name:Value.", param_hint="--header")
    return name, value


def _run(config: Config) -> None:
    """Serve until stopped, in this process or in others.

    Raises:
        SystemExit: with the exit code.
    """
    code: int | str | None = 0
    config.handle_os_signals()
    try:
        code = _serve(config)
    except SystemExit as reason:
        code = reason.code
    except KeyboardInterrupt:  # raised by a handler of the project
        pass
    finally:
        if config.uds:
            with contextlib.suppress(FileNotFoundError):
                Path(config.uds).unlink()
    exit_despite_threads(
        logger, code=STARTUP_FAILURE if code == STARTUP_FAILURE else SHUTDOWN_FAILURE
    )
    sys.exit(code)


def _serve(config: Config) -> int:
    server = Server(config)
    if config.should_reload:
        Reloader(config, target=server.run, sockets=[config.bind_socket()]).run()
        return 0
    if config.workers > 1:
        supervisor = Supervisor(config, sockets=[config.bind_socket()])
        supervisor.run()
        return supervisor.exit_code
    config.load_app()  # before there is an event loop, as uvicorn does
    config.is_serving = True
    server.run()
    return 0 if server.started else STARTUP_FAILURE
